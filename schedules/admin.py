"""Schedules in the admin."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from runs.models import Run, ScheduleRollup
from runs.services import run_now
from scheduler_project.admin_parts import (
    ObjectActions,
    ServiceAdmin,
    ServiceForm,
    act_on_each,
    badge,
    linked,
    list_address,
)
from schedules.clock import database_now
from schedules.drafts import USER_FIELDS
from schedules.models import Schedule
from schedules.recurrence import describe
from schedules.services import (
    create_schedule,
    delete_schedule,
    pause_schedule,
    resume_schedule,
    timing_of,
    update_schedule,
)
from targets.models import Target

FORM_FIELDS = tuple("target" if name == "target_id" else name for name in USER_FIELDS)
REQUIRED = ("name", "target", "schedule_type")


class ScheduleForm(ServiceForm[Schedule]):
    """When to call."""

    class Meta:
        model = Schedule
        fields = FORM_FIELDS
        help_texts = {
            "interval_seconds": "For type interval: seconds from fire to fire.",
            "cron_expression": "For type cron: minute hour day month weekday, such as 0 9 * * 1-5.",
            "run_at": "For type once.",
            "timezone": "An IANA name such as Europe/Berlin. Empty: the service's.",
            "start_at": "Empty: from now on.",
            "duration_seconds": "Ends that long after the start. Or give expires at.",
            "max_runs": "Ends after that many runs. Empty: no limit.",
            "jitter_seconds": "Spreads starts: a fixed offset of up to that many seconds.",
            "catch_up": "What becomes of ticks that were missed: run the latest, all, or none.",
            "overlap_policy": "What becomes of a tick while the run before has not ended.",
            "max_retries": "Tries after the first. Empty: the service's default.",
            "on_worker_lost": "If a worker dies during a call. auto: repeat only idempotent methods.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.required = name in REQUIRED
        if "target" in self.fields:
            self.fields["target"].queryset = Target.objects.order_by("name")  # type: ignore[attr-defined]

    def values(self) -> dict[str, Any]:
        """The services know the target by its id."""
        values = super().values()
        target = values.pop("target", None)
        return values if target is None else {**values, "target_id": target.pk}

    def write(self, values: Mapping[str, Any]) -> Schedule:
        """Create or change the schedule."""
        if self.is_new:
            return create_schedule(fields=values, now=database_now())
        return update_schedule(schedule_id=self.instance.pk, changes=values, now=database_now())


@admin.register(Schedule)
class ScheduleAdmin(ObjectActions, ServiceAdmin[Schedule]):
    """When targets are called."""

    form = ScheduleForm
    list_display = ("name", "target_link", "timing", "state", "next_fire", "last_outcome", "runs")
    list_filter = ("status", "schedule_type")
    search_fields = ("name", "target__name")
    list_select_related = ("target", "rollup")
    autocomplete_fields = ("target",)
    actions = ("run_now", "pause", "resume")
    object_actions = {"run_now": "Run now", "pause": "Pause", "resume": "Resume"}
    readonly_fields = ("state", "paused_reason", "next_fire", "last_outcome", "run_count", "last_error")
    fieldsets = (
        (None, {"fields": ("name", "target", "schedule_type")}),
        ("Timing", {"fields": ("interval_seconds", "cron_expression", "run_at", "timezone")}),
        ("Window", {"fields": ("start_at", "expires_at", "duration_seconds", "max_runs")}),
        ("Policies", {"fields": ("overlap_policy", "catch_up", "misfire_grace_seconds", "jitter_seconds")}),
        (
            "Retries",
            {"fields": ("max_retries", "retry_delay_seconds", "max_retry_delay_seconds", "on_worker_lost")},
        ),
    )
    now = (
        "Now",
        {"fields": ("state", "paused_reason", "next_fire", "last_outcome", "run_count", "last_error")},
    )

    def get_fieldsets(self, request: HttpRequest, obj: Schedule | None = None) -> Any:
        """A schedule that exists also shows how it stands."""
        return self.fieldsets if obj is None else (self.now, *self.fieldsets)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Schedule]:
        """Without the target's bulky and encrypted columns."""
        return super().get_queryset(request).defer("target__headers", "target__body_template")

    def remove(self, row: Schedule) -> None:
        """Through the service."""
        delete_schedule(schedule_id=row.pk, now=database_now())

    def has_run_permission(self, request: HttpRequest) -> bool:
        """Who may start calls."""
        return request.user.has_perm("runs.add_run")

    @admin.action(description="Run now", permissions=["run"])
    def run_now(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """One manual run each."""
        act_on_each(request, queryset, run_now, key="schedule_id", done="run(s) created; a worker makes the call now")

    @admin.action(description="Pause", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """No new nominal times until resumed."""
        act_on_each(request, queryset, pause_schedule, key="schedule_id", done="schedule(s) paused")

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Go on at the next nominal time."""
        act_on_each(request, queryset, resume_schedule, key="schedule_id", done="schedule(s) resumed")

    @admin.display(description="Target", ordering="target__name")
    def target_link(self, schedule: Schedule) -> str:
        """A link to the target."""
        return linked(schedule.target)

    @admin.display(description="Timing")
    def timing(self, schedule: Schedule) -> str:
        """In words."""
        return describe(timing_of(schedule))

    @admin.display(description="Status", ordering="status")
    def state(self, schedule: Schedule) -> str:
        """As a badge; a schedule that can't be computed says so."""
        return badge("held" if schedule.last_error else schedule.status)

    @admin.display(description="Next run", ordering="next_run_at")
    def next_fire(self, schedule: Schedule) -> datetime | str:
        """The next nominal time."""
        return schedule.next_run_at or "-"

    @admin.display(description="Last outcome")
    def last_outcome(self, schedule: Schedule) -> str:
        """What became of its last run."""
        try:
            rollup = schedule.rollup
        except ScheduleRollup.DoesNotExist:
            return "-"
        detail = "" if rollup.last_error_type == "none" else f" {rollup.last_error_type}"
        return format_html("{}{}", badge(rollup.last_status), detail) if rollup.last_status else "-"

    @admin.display(description="Runs")
    def runs(self, schedule: Schedule) -> str:
        """A link to its runs."""
        return format_html('<a href="{}">show</a>', list_address(Run, schedule__id__exact=schedule.pk))
