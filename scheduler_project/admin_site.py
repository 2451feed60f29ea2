"""The admin site: our title, our dashboard."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from rest_framework.exceptions import Throttled

from access.throttles import count_stranger
from runs.metrics import HourOfRuns
from runs.models import Run
from scheduler_project.admin_login import LoginForm
from scheduler_project.audit_trail import note_done
from scheduler_project.live_state import read_dashboard
from schedules.clock import database_now
from schedules.models import Schedule, ScheduleStatus

# In the order in which people think of them.
APPS = ("targets", "schedules", "runs", "worker", "access", "auth")
MODELS = ("Target", "Secret", "Run", "Attempt", "User", "Group")
# What the dashboard's parts are about, and so whose permission they need.
LISTS = {"runs": ("runs", "run"), "schedules": ("schedules", "schedule"), "workers": ("worker", "workerprocess")}
ROWS_SHOWN = 8
CHART_HEIGHT = 100


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour of the chart, in the chart's units; `y` counts from the top."""

    hour: HourOfRuns
    x: int
    failed_height: float
    success_height: float

    @property
    def success_y(self) -> float:
        """The upper edge of the part that succeeded, which stands on the failed one."""
        return CHART_HEIGHT - self.failed_height - self.success_height

    @property
    def failed_y(self) -> float:
        """The upper edge of the part that failed."""
        return CHART_HEIGHT - self.failed_height


def bars(hours: list[HourOfRuns]) -> list[Bar]:
    """The chart's bars, scaled to the busiest hour."""
    most = max((hour.success + hour.failed for hour in hours), default=0) or 1
    return [
        Bar(
            hour=hour,
            x=number * 10,
            failed_height=round(hour.failed / most * CHART_HEIGHT, 2),
            success_height=round(hour.success / most * CHART_HEIGHT, 2),
        )
        for number, hour in enumerate(hours)
    ]


class SchedulerAdminSite(AdminSite):
    """The admin with the service's name on it."""

    site_header = "API Scheduler"
    site_title = "API Scheduler"
    index_title = "Dashboard"
    index_template = "admin/dashboard.html"
    site_url = None
    login_form = LoginForm
    # A bar above the page instead: it leaves the width to the tables, and works on a phone.
    enable_nav_sidebar = False

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Django's own; who gets in is put on record."""
        was_in = request.user.is_authenticated
        try:
            if request.method == "POST":
                count_stranger(request)
        except Throttled as refusal:
            return _come_back(HttpResponse(f"{refusal.detail}\n", content_type="text/plain"), _seconds(refusal))
        response = super().login(request, extra_context)
        form = (getattr(response, "context_data", None) or {}).get("form")
        if isinstance(form, LoginForm) and form.retry_after:
            return _come_back(response, form.retry_after)
        if isinstance(request.user, User) and not was_in:
            note_done("login", request.user)
        return response

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """The same for who leaves."""
        user = request.user
        if isinstance(user, User) and request.method == "POST":
            note_done("logout", user)
        return super().logout(request, extra_context)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """People change their own password; that they did is put on record."""
        with transaction.atomic():
            response = super().password_change(request, extra_context)
            if request.method == "POST" and response.status_code == 302 and isinstance(request.user, User):
                note_done("change_password", request.user)
        return response

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Ours first."""
        apps = sorted(super().get_app_list(request, app_label), key=lambda app: _place(app["app_label"], APPS))
        for app in apps:
            app["models"].sort(key=lambda model: _place(model["object_name"], MODELS))
        return apps

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """The dashboard: is it alive, what failed, what comes next. Nothing that the user may not see in a list."""
        may_see = {name: request.user.has_perm(f"{app}.view_{model}") for name, (app, model) in LISTS.items()}
        now = database_now()
        context: dict[str, Any] = {"may_see": may_see, "is_dashboard": True, "now": now}
        if may_see["runs"]:
            context |= _figures(now) | {"dead_runs": Run.objects.dead().with_owners().order_by("-id")[:ROWS_SHOWN]}
        if may_see["schedules"]:
            upcoming = Schedule.objects.filter(status=ScheduleStatus.ACTIVE).order_by("next_run_at", "id")
            context["next_schedules"] = upcoming[:ROWS_SHOWN]
        return super().index(request, {**context, **(extra_context or {})})


def _seconds(refusal: Throttled) -> float:
    return float(getattr(refusal, "wait", None) or 1)


def _come_back(response: HttpResponse, seconds: float) -> HttpResponse:
    response.status_code = 429
    response["Retry-After"] = str(math.ceil(seconds))
    return response


def _place(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)


def _figures(now: datetime) -> dict[str, Any]:
    dashboard = read_dashboard(now)
    succeeded = sum(hour.success for hour in dashboard.hours)
    failed = sum(hour.failed for hour in dashboard.hours)
    return {
        "dashboard": dashboard,
        "bars": bars(dashboard.hours),
        "busiest": max(hour.success + hour.failed for hour in dashboard.hours),
        "succeeded": succeeded,
        "failed": failed,
        "success_rate": 100 * succeeded / (succeeded + failed) if succeeded + failed else None,
    }
