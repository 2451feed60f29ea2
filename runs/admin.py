"""Runs and attempts in the admin: read, never edited."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from runs.models import DEAD_STATUSES, FINAL_STATUSES, Attempt, Run, RunStatus
from runs.querysets import RunQuerySet
from runs.sentences import run_sentence
from runs.services import cancel_run, replay_run, resolve_run
from scheduler_project.admin_actions import ObjectActions, act_on_each
from scheduler_project.admin_attempts import BODIES, AttemptFacts, indented
from scheduler_project.admin_cells import NOTHING, as_text, badge, linked, moment, row_address
from scheduler_project.admin_lists import ReadOnly
from schedules.clock import database_now
from schedules.models import Schedule
from targets.models import Target

MOST_SCHEDULES_SEARCHED = 100
# A run can have a hundred attempts of 100 KB: its page shows the beginning of each, the attempt's own page all.
EXCERPT_CHARS = 4000


class AttemptInline(AttemptFacts, admin.StackedInline[Attempt, Run]):
    """The attempts of a run, on its page."""

    model = Attempt
    extra = 0
    fields = AttemptFacts.shown
    readonly_fields = AttemptFacts.shown
    ordering = ("attempt_number",)
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Workers make them."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """History is not edited."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attempt]:
        """With the beginnings of the bodies, one character beyond the excerpt to see whether there is more."""
        beginnings = {f"{name}_beginning": Left(name, EXCERPT_CHARS + 1) for name in BODIES}
        return super().get_queryset(request).defer(*BODIES).annotate(**beginnings)

    def body_of(self, attempt: Attempt, name: str) -> str:
        """The whole body if it is short, else its beginning and where to find the rest."""
        text = getattr(attempt, f"{name}_beginning")
        if not text:
            return ""
        if len(text) <= EXCERPT_CHARS:
            return as_text(indented(text))
        rest = format_html('<a href="{}">Show all of it</a>', row_address(Attempt, attempt.pk))
        return format_html("{}{}", as_text(f"{text[:EXCERPT_CHARS]} ..."), rest)


class UnresolvedFilter(admin.SimpleListFilter):
    """Failed runs that nobody has dealt with; `dead` as in the API."""

    title = "attention"
    parameter_name = "dead"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """One choice besides all."""
        return [("true", "Failed and not resolved")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Run]) -> QuerySet[Run]:
        """Only those, if asked for."""
        return queryset.dead() if self.value() == "true" and isinstance(queryset, RunQuerySet) else queryset


@admin.register(Run)
class RunAdmin(ObjectActions[Run], ReadOnly[Run]):
    """Every intended call and what became of it."""

    list_display = ("when", "schedule_link", "state", "why", "code", "attempt_count", "trigger")
    list_filter = (UnresolvedFilter, "status", "trigger", "final_error_type")
    sortable_by = ()
    search_fields = ("id",)
    search_help_text = "An id of a run, schedule or target, or a part of a schedule's name"
    ordering = ("-id",)
    actions = ("replay", "cancel", "resolve")
    object_actions = {"replay": "Replay", "cancel": "Cancel", "resolve": "Mark as resolved"}
    inlines = (AttemptInline,)
    fieldsets = (
        (None, {"fields": ("state", "sentence", "schedule_link", "target_link", "trigger", "original", "resolved")}),
        ("Times", {"fields": ("when", "started", "completed", "next_attempt")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        """Schedule and target come along, without the target's bulky columns."""
        return Run.objects.with_owners().order_by("-id")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Links from schedules and targets filter by their id."""
        return lookup in ("schedule__id__exact", "target__id__exact") or super().lookup_allowed(lookup, value, request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Run], search_term: str
    ) -> tuple[QuerySet[Run], bool]:
        """By id through the indexes, by name through the schedules: no scan of a million runs."""
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            key = UUID(term)
        except ValueError:
            named = Schedule.objects.filter(name__icontains=term).order_by("id").values_list("id", flat=True)
            return queryset.filter(schedule_id__in=list(named[:MOST_SCHEDULES_SEARCHED])), False
        if Schedule.objects.filter(pk=key).exists():
            return queryset.filter(schedule_id=key), False
        if Target.objects.filter(pk=key).exists():
            return queryset.filter(target_id=key), False
        return queryset.filter(pk=key), False

    def offered(self, row: Run) -> Collection[str]:
        """Replay what has ended, cancel what waits, resolve what failed."""
        verbs = {
            "replay": row.status in FINAL_STATUSES,
            "cancel": row.status in (RunStatus.PENDING, RunStatus.RETRYING),
            "resolve": row.status in DEAD_STATUSES and row.resolved_at is None,
        }
        return [verb for verb, makes_sense in verbs.items() if makes_sense]

    @admin.action(description="Replay", permissions=["run"])
    def replay(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        """A new run for each ended one."""
        done = "Runs created: {}. A worker makes the calls now."
        act_on_each(request, queryset, replay_run, key="run_id", verb="replay", done=done)

    @admin.action(description="Cancel", permissions=["run"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        """Runs that still wait are not made."""
        act_on_each(request, queryset, cancel_run, key="run_id", verb="cancel", done="Runs cancelled: {}.")

    @admin.action(description="Mark as resolved", permissions=["run"])
    def resolve(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        """Failed runs that somebody has dealt with."""
        note = f"by {request.user.get_username()} in the admin"
        work = partial(resolve_run, note=note)
        act_on_each(request, queryset, work, key="run_id", verb="resolve", done="Runs resolved: {}.")

    @admin.display(description="Scheduled at")
    def when(self, run: Run) -> str:
        """The nominal time."""
        return moment(run.scheduled_at)

    @admin.display(description="Started at")
    def started(self, run: Run) -> str:
        """The start of the first attempt."""
        return moment(run.started_at)

    @admin.display(description="Completed at")
    def completed(self, run: Run) -> str:
        """When it reached its final status."""
        return moment(run.completed_at)

    @admin.display(description="Next attempt at")
    def next_attempt(self, run: Run) -> str:
        """When it is due, while it waits."""
        return moment(run.next_attempt_at)

    @admin.display(description="Schedule")
    def schedule_link(self, run: Run) -> str:
        """A link to the schedule; a test call has none."""
        return linked(run.schedule) if run.schedule else "test call"

    @admin.display(description="Target")
    def target_link(self, run: Run) -> str:
        """A link to the target."""
        return linked(run.target)

    @admin.display(description="Status")
    def state(self, run: Run) -> str:
        """As a badge."""
        return badge(run.status)

    @admin.display(description="HTTP")
    def code(self, run: Run) -> str:
        """The last status code."""
        return str(run.final_status_code or NOTHING)

    @admin.display(description="Why")
    def why(self, run: Run) -> str:
        """Error class, or the reason why it was not run."""
        if run.reason:
            return f"{run.reason} ({run.missed_ticks} times)" if run.missed_ticks > 1 else run.reason
        return "" if run.final_error_type == "none" else run.final_error_type

    @admin.display(description="In words")
    def sentence(self, run: Run) -> str:
        """Why it ran, waits or was skipped, and how it went."""
        return run_sentence(run, zone=timezone.get_current_timezone(), now=database_now())

    @admin.display(description="Resolved")
    def resolved(self, run: Run) -> str:
        """When, and the note."""
        return format_html("{} {}", moment(run.resolved_at), run.resolved_note) if run.resolved_at else NOTHING

    @admin.display(description="Replay of")
    def original(self, run: Run) -> str:
        """A link to the run that this one repeats."""
        return linked(Run.objects.filter(pk=run.replay_of).first()) if run.replay_of else NOTHING


@admin.register(Attempt)
class AttemptAdmin(AttemptFacts, ReadOnly[Attempt]):
    """Single tries."""

    list_display = ("when", "run_link", "attempt_number", "outcome", "latency")
    list_filter = ("error_type",)
    sortable_by = ()
    search_fields = ("run__id",)
    search_help_text = "The id of a run"
    ordering = ("-id",)
    fields = ("run_link", "attempt_number", *AttemptFacts.shown)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attempt]:
        """Those of visible runs; a list of bodies would be megabytes."""
        return Attempt.objects.filter(run__in=Run.objects.order_by()).defer(*BODIES).order_by("-id")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Attempt], search_term: str
    ) -> tuple[QuerySet[Attempt], bool]:
        """By the id of the run."""
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            return queryset.filter(run_id=UUID(term)), False
        except ValueError:
            return queryset.none(), False

    @admin.display(description="Started at")
    def when(self, attempt: Attempt) -> str:
        """The moment it was claimed for the call."""
        return moment(attempt.started_at)

    @admin.display(description="Latency")
    def latency(self, attempt: Attempt) -> str:
        """From the first byte sent to the last one read."""
        return NOTHING if attempt.latency_ms is None else f"{attempt.latency_ms:,.0f} ms"

    @admin.display(description="Run")
    def run_link(self, attempt: Attempt) -> str:
        """A link to the run, which is not read for it."""
        return format_html('<a href="{}">{}</a>', row_address(Run, attempt.run_id), attempt.run_id)
