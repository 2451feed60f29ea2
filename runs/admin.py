"""Runs and attempts in the admin: read, never edited."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import partial
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from runs.models import Attempt, Run
from runs.services import cancel_run, replay_run, resolve_run
from scheduler_project.admin_parts import BoundedPaginator, ObjectActions, act_on_each, badge, linked
from schedules.models import Schedule
from targets.models import Target

MOST_SCHEDULES_SEARCHED = 100


class ReadOnly:
    """Rows that only the worker writes."""

    def has_add_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        """Runs come from schedules and services."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        """History is not edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        """It goes with its schedule or target."""
        return False


def pretty(text: str) -> str:
    """Text in a box that shows it as it is; JSON is indented."""
    with suppress(ValueError, RecursionError):
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return format_html('<pre class="payload">{}</pre>', text)


def headers_as_text(headers: dict[str, str]) -> str:
    """One header per line, inert."""
    return format_html(
        '<pre class="payload">{}</pre>', "\n".join(f"{name}: {value}" for name, value in headers.items())
    )


class AttemptFacts:
    """How one attempt is shown, on its own page and on its run's."""

    shown = ("outcome", "times", "request", "response")

    @admin.display(description="Outcome")
    def outcome(self, attempt: Attempt) -> str:
        """Status code, error class, sentence."""
        if attempt.completed_at is None:
            return badge("running")
        fenced = " (fenced: this answer came after the run had been given to another worker)" if attempt.fenced else ""
        failed = attempt.error_type != "none"
        return format_html(
            "{} {} {}{}",
            badge("failed" if failed else "success"),
            attempt.status_code or "",
            attempt.error_message,
            fenced,
        )

    @admin.display(description="Times")
    def times(self, attempt: Attempt) -> str:
        """Latency and its parts in milliseconds."""
        parts = [
            f"{name.removesuffix('_ms')} {value:g} ms" for name, value in attempt.timings.items() if value is not None
        ]
        return format_html("{:%Y-%m-%d %H:%M:%S %Z}, {}", attempt.started_at, ", ".join(parts) or "-")

    @admin.display(description="Request")
    def request(self, attempt: Attempt) -> str:
        """As it was sent, secrets masked."""
        line = f"{attempt.request_method} {attempt.request_url}"
        body = "" if attempt.request_body is None else pretty(attempt.request_body)
        return format_html("<code>{}</code>{}{}", line, headers_as_text(attempt.request_headers), body)

    @admin.display(description="Response")
    def response(self, attempt: Attempt) -> str:
        """As it is stored."""
        if attempt.status_code is None:
            return "-"
        size = "" if attempt.response_size_bytes is None else f", {attempt.response_size_bytes} bytes"
        cut = ", cut" if attempt.response_truncated else ""
        line = f"{attempt.status_code} from {attempt.remote_ip or 'unknown'}{size}{cut}"
        return format_html(
            "<code>{}</code>{}{}", line, headers_as_text(attempt.response_headers), pretty(attempt.response_body)
        )


class AttemptInline(AttemptFacts, ReadOnly, admin.StackedInline[Attempt, Run]):
    """The attempts of a run, on its page."""

    model = Attempt
    extra = 0
    fields = AttemptFacts.shown
    readonly_fields = AttemptFacts.shown
    ordering = ("attempt_number",)


@admin.register(Run)
class RunAdmin(ObjectActions, ReadOnly, admin.ModelAdmin[Run]):
    """Every intended call and what became of it."""

    list_display = ("scheduled_at", "schedule_link", "state", "trigger", "attempt_count", "code", "why")
    list_filter = ("status", "trigger", "final_error_type")
    search_fields = ("id",)
    search_help_text = "An id of a run, schedule or target, or a part of a schedule's name"
    ordering = ("-id",)
    list_per_page = 50
    show_full_result_count = False
    paginator = BoundedPaginator
    actions = ("replay", "cancel", "resolve")
    object_actions = {"replay": "Replay", "cancel": "Cancel", "resolve": "Mark as resolved"}
    inlines = (AttemptInline,)
    fields = (
        "id",
        "state",
        "sentence",
        "schedule_link",
        "target_link",
        "trigger",
        "scheduled_at",
        "started_at",
        "completed_at",
        "next_attempt_at",
        "attempt_count",
        "code",
        "original",
        "resolved_at",
        "resolved_note",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        """Schedule and target come along, without the target's bulky columns."""
        return Run.objects.with_owners()

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
        for field, model in (("schedule_id", Schedule), ("target_id", Target)):
            if model.objects.filter(pk=key).exists():
                return queryset.filter(**{field: key}), False
        return queryset.filter(pk=key), False

    def has_run_permission(self, request: HttpRequest) -> bool:
        """Who may start, repeat and settle calls."""
        return request.user.has_perm("runs.add_run")

    @admin.action(description="Replay", permissions=["run"])
    def replay(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        """A new run for each ended one."""
        act_on_each(request, queryset, replay_run, key="run_id", done="run(s) created; a worker makes the call now")

    @admin.action(description="Cancel", permissions=["run"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        """Runs that still wait are not made."""
        act_on_each(request, queryset, cancel_run, key="run_id", done="run(s) cancelled")

    @admin.action(description="Mark as resolved", permissions=["run"])
    def resolve(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        """Failed runs that somebody has dealt with."""
        note = f"by {request.user.get_username()} in the admin"
        act_on_each(request, queryset, partial(resolve_run, note=note), key="run_id", done="run(s) resolved")

    @admin.display(description="Schedule")
    def schedule_link(self, run: Run) -> str:
        """A link to the schedule; a test call has none."""
        return linked(run.schedule) if run.schedule else "test call"

    @admin.display(description="Target")
    def target_link(self, run: Run) -> str:
        """A link to the target."""
        return linked(run.target)

    @admin.display(description="Status", ordering="status")
    def state(self, run: Run) -> str:
        """As a badge."""
        return badge(run.status)

    @admin.display(description="HTTP")
    def code(self, run: Run) -> str:
        """The last status code."""
        return str(run.final_status_code or "-")

    @admin.display(description="Why")
    def why(self, run: Run) -> str:
        """Error class, or the reason why it was not run."""
        if run.reason:
            ticks = f" ({run.missed_ticks} ticks)" if run.missed_ticks > 1 else ""
            return f"{run.reason}{ticks}"
        return "" if run.final_error_type == "none" else run.final_error_type

    @admin.display(description="In words")
    def sentence(self, run: Run) -> str:
        """The final sentence."""
        return run.final_error_message or self.why(run) or "-"

    @admin.display(description="Replay of")
    def original(self, run: Run) -> str:
        """A link to the run that this one repeats."""
        return linked(Run.objects.filter(pk=run.replay_of).first()) if run.replay_of else "-"


@admin.register(Attempt)
class AttemptAdmin(AttemptFacts, ReadOnly, admin.ModelAdmin[Attempt]):
    """Single tries."""

    list_display = ("started_at", "run_link", "attempt_number", "outcome", "latency_ms")
    list_filter = ("error_type",)
    search_fields = ("run__id",)
    ordering = ("-id",)
    list_per_page = 50
    show_full_result_count = False
    paginator = BoundedPaginator
    fields = ("run_link", "attempt_number", *AttemptFacts.shown)
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attempt]:
        """Those of visible runs."""
        attempts: QuerySet[Attempt] = Attempt.objects.filter(run__target__deleted_at__isnull=True).exclude(
            run__schedule__deleted_at__isnull=False
        )
        return attempts.order_by("-id")

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

    @admin.display(description="Run")
    def run_link(self, attempt: Attempt) -> str:
        """A link to the run."""
        return linked(attempt.run)
