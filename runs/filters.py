"""Filters of the list of runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import Q
from rest_framework.request import Request

from runs.models import DEAD_STATUSES, RunStatus, Trigger
from runs.outcome import ErrorType
from runs.querysets import RunQuerySet
from scheduler_project.list_filters import MOMENT_SCHEMA, UUID_SCHEMA, ListFilters, choices_schema, read_choices
from scheduler_project.query import read_bool, read_moment, read_uuid

# Parameter -> column and allowed values.
CHOICES: Mapping[str, tuple[str, list[str]]] = {
    "status": ("status", RunStatus.values),
    "trigger": ("trigger", Trigger.values),
    "error_type": ("final_error_type", [error.value for error in ErrorType]),
}
MOMENTS: Mapping[str, str] = {"start_time": "scheduled_at__gte", "end_time": "scheduled_at__lt"}


class RunFilters(ListFilters):
    """By owner, by what became of the run, and by time."""

    parameters: ClassVar[Mapping[str, tuple[dict[str, Any], str]]] = {
        "schedule_id": (UUID_SCHEMA, "Runs of this schedule."),
        "target_id": (UUID_SCHEMA, "Runs of this target."),
        **{
            name: (choices_schema(values), f"One {name.replace('_', ' ')}, or several with commas.")
            for name, (_, values) in CHOICES.items()
        },
        "start_time": (MOMENT_SCHEMA, "Scheduled at this moment or later."),
        "end_time": (MOMENT_SCHEMA, "Scheduled before this moment."),
        "dead": ({"type": "boolean"}, "true: finally failed or timed out, and not resolved; false: all others."),
    }

    def narrow(self, request: Request, queryset: RunQuerySet) -> RunQuerySet:
        """Runs that match all of the parameters."""
        wanted: dict[str, Any] = {name: read_uuid(request, name) for name in ("schedule_id", "target_id")}
        for name, (column, values) in CHOICES.items():
            wanted[f"{column}__in"] = read_choices(request, name, values)
        for name, lookup in MOMENTS.items():
            wanted[lookup] = read_moment(request, name)
        queryset = queryset.filter(**{lookup: value for lookup, value in wanted.items() if value is not None})
        dead = read_bool(request, "dead")
        if dead is None:
            return queryset
        if dead:
            return queryset.dead()
        return queryset.filter(~Q(status__in=DEAD_STATUSES) | Q(resolved_at__isnull=False))
