"""Schedules in the admin."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import DateTimeField, Field, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join

from runs.models import Run, ScheduleRollup
from runs.services import run_now
from scheduler_project.admin_actions import ObjectActions, act_on_each
from scheduler_project.admin_cells import NOTHING, badge, linked, list_address, moment
from scheduler_project.admin_forms import ServiceAdmin, ServiceForm
from scheduler_project.admin_moments import MomentField, MomentWidget
from schedules.clock import database_now
from schedules.drafts import USER_FIELDS, defaults_for
from schedules.errors import WrongState
from schedules.models import Schedule, ScheduleStatus, ScheduleType
from schedules.preview import preview_saved
from schedules.recurrence import describe
from schedules.services import (
    create_schedule,
    delete_schedule,
    pause_schedule,
    resume_schedule,
    timing_of,
    update_schedule,
)
from schedules.validators import known_zones
from targets.models import BULKY

FIRES_SHOWN = 5
FORM_FIELDS = tuple("target" if name == "target_id" else name for name in USER_FIELDS)
IN_OUR_ZONE = f"In {settings.SCHEDULER_TIME_ZONE}."


class ScheduleForm(ServiceForm[Schedule]):
    """When to call."""

    needed = ("name", "target", "schedule_type")

    class Meta:
        model = Schedule
        fields = FORM_FIELDS
        widgets = {"timezone": forms.Select, "cron_expression": forms.TextInput(attrs={"class": "code", "size": 40})}
        labels = {
            "schedule_type": "Type",
            "interval_seconds": "Every ... seconds",
            "timezone": "Time zone",
            "duration_seconds": "Duration in seconds",
            "jitter_seconds": "Jitter in seconds",
            "misfire_grace_seconds": "Grace in seconds",
            "retry_delay_seconds": "First wait in seconds",
            "max_retry_delay_seconds": "Longest wait in seconds",
        }
        help_texts = {
            "interval_seconds": "Counted from the start, so that nothing drifts.",
            "cron_expression": "Minute, hour, day, month, weekday, such as 0 9 * * 1-5; or @hourly, @daily ...",
            "run_at": IN_OUR_ZONE,
            "timezone": "Whose clock a cron expression follows, summer time included.",
            "start_at": f"{IN_OUR_ZONE} Empty: from now on.",
            "expires_at": f"{IN_OUR_ZONE} The last possible moment; or give a duration.",
            "duration_seconds": "Ends that long after the start.",
            "max_runs": "Ends after that many runs. Empty: no limit.",
            "jitter_seconds": "A fixed delay of up to that many seconds, to spread schedules that fire together.",
            "catch_up": "What becomes of times that were missed: run the latest, all of them, or none.",
            "misfire_grace_seconds": "A missed time older than this is not caught up with.",
            "overlap_policy": "What becomes of a time that comes while the run before has not ended.",
            "max_retries": "Tries after the first.",
            "retry_delay_seconds": "Doubles with every further try.",
            "on_worker_lost": "If a worker dies during a call. auto: only idempotent methods are tried again.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.is_new:
            self.initial = {"schedule_type": ScheduleType.INTERVAL, **defaults_for({}), **self.initial}
        zone = self.fields.get("timezone")
        if zone:
            # A zone that is no longer known stays until somebody chooses another.
            zones = sorted({*known_zones(), self.initial["timezone"]})
            zone.widget.choices = [(name, name) for name in zones]

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
class ScheduleAdmin(ObjectActions[Schedule], ServiceAdmin[Schedule]):
    """When targets are called."""

    form = ScheduleForm
    formfield_overrides = {DateTimeField: {"form_class": MomentField, "widget": MomentWidget}}
    list_display = ("name", "target_link", "timing", "state", "next_fire", "last_outcome", "links")
    list_filter = ("status", "schedule_type")
    search_fields = ("name", "target__name")
    search_help_text = "A part of the schedule's or the target's name"
    sortable_by = ("name", "next_fire")
    list_select_related = ("target", "rollup")
    autocomplete_fields = ("target",)
    actions = ("run_now", "pause", "resume")
    object_actions = {"run_now": "Run now", "pause": "Pause", "resume": "Resume"}
    goes_along = "all its runs"
    standing = ("state", "note", "timing", "next_fires", "last_outcome", "run_count", "links")
    readonly_fields = standing
    fieldsets = (
        (None, {"fields": ("name", "target", "schedule_type")}),
        ("Timing", {"fields": ("interval_seconds", "cron_expression", "run_at", "timezone")}),
        ("Window", {"fields": ("start_at", "expires_at", "duration_seconds", "max_runs")}),
        (
            "Retries",
            {"fields": ("max_retries", "retry_delay_seconds", "max_retry_delay_seconds", "on_worker_lost")},
        ),
        (
            "Late and overlapping runs",
            {"fields": ("overlap_policy", "catch_up", "misfire_grace_seconds", "jitter_seconds")},
        ),
    )

    class Media:
        js = ("api_scheduler/schedule_form.js",)

    def get_fieldsets(self, request: HttpRequest, obj: Schedule | None = None) -> Any:
        """A schedule that exists also shows how it stands."""
        return self.fieldsets if obj is None else (("Now", {"fields": self.standing}), *self.fieldsets)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Schedule]:
        """Without the target's bulky and encrypted columns."""
        return super().get_queryset(request).defer(*(f"target__{name}" for name in BULKY))

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Links from targets filter by their id."""
        return lookup == "target__id__exact" or super().lookup_allowed(lookup, value, request)

    def formfield_for_dbfield(self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any) -> Any:
        """The target can be chosen or added here; what changes or deletes it has its own page."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and db_field.name == "target":
            for verb in ("change", "delete", "view"):
                setattr(field.widget, f"can_{verb}_related", False)
        return field

    def remove(self, row: Schedule) -> None:
        """Through the service."""
        delete_schedule(schedule_id=row.pk, now=database_now())

    def offered(self, row: Schedule) -> Collection[str]:
        """Run now always; pause or resume."""
        switch = {ScheduleStatus.ACTIVE: ("pause",), ScheduleStatus.PAUSED: ("resume",)}
        return ("run_now", *switch.get(ScheduleStatus(row.status), ()))

    @admin.action(description="Run now", permissions=["run"])
    def run_now(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """One manual run each."""
        done = "Runs created: {}. A worker makes the calls now."
        act_on_each(request, queryset, run_now, key="schedule_id", verb="run", done=done)

    @admin.action(description="Pause", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """No new nominal times until resumed."""
        act_on_each(request, queryset, pause_schedule, key="schedule_id", verb="pause", done="Schedules paused: {}.")

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Go on at the next nominal time."""
        act_on_each(request, queryset, resume_schedule, key="schedule_id", verb="resume", done="Schedules resumed: {}.")

    @admin.display(description="Target", ordering="target__name")
    def target_link(self, schedule: Schedule) -> str:
        """A link to the target."""
        return linked(schedule.target)

    @admin.display(description="Timing")
    def timing(self, schedule: Schedule) -> str:
        """In words."""
        try:
            return describe(timing_of(schedule))
        except ValueError:
            return f"unknown time zone {schedule.timezone}"

    @admin.display(description="Status")
    def state(self, schedule: Schedule) -> str:
        """As a badge; held is one whose next time can't be computed."""
        return badge("held" if schedule.last_error else schedule.status)

    @admin.display(description="Note")
    def note(self, schedule: Schedule) -> str:
        """Why it is held or paused."""
        return schedule.last_error or schedule.paused_reason or NOTHING

    @admin.display(description="Next run", ordering="next_run_at")
    def next_fire(self, schedule: Schedule) -> str:
        """The next nominal time."""
        return moment(schedule.next_run_at)

    @admin.display(description="Next runs")
    def next_fires(self, schedule: Schedule) -> str:
        """The next nominal times, with what a clock change does to them."""
        if schedule.status != ScheduleStatus.ACTIVE:
            return NOTHING
        try:
            fires = preview_saved(schedule, after=database_now(), count=FIRES_SHOWN)
        except WrongState:
            return NOTHING
        return format_html_join("", "<div>{} {}</div>", ((moment(fire.at), fire.note) for fire in fires)) or NOTHING

    @admin.display(description="Last outcome")
    def last_outcome(self, schedule: Schedule) -> str:
        """What became of its last run."""
        try:
            rollup = schedule.rollup
        except ScheduleRollup.DoesNotExist:
            return NOTHING
        detail = "" if rollup.last_error_type == "none" else rollup.last_error_type
        return format_html("{} {}", badge(rollup.last_status), detail) if rollup.last_status else NOTHING

    @admin.display(description="See")
    def links(self, schedule: Schedule) -> str:
        """Its runs."""
        return format_html('<a href="{}">runs</a>', list_address(Run, schedule__id__exact=schedule.pk))
