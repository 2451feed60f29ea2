"""Filters of the list of schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework.request import Request

from scheduler_project.list_filters import TEXT_SCHEMA, UUID_SCHEMA, ListFilters, choices_schema, read_choices
from scheduler_project.query import read_text, read_uuid
from schedules.models import Schedule, ScheduleStatus


class ScheduleFilters(ListFilters):
    """`status`, `target_id` and `search`."""

    parameters: ClassVar[Mapping[str, tuple[dict[str, Any], str]]] = {
        "status": (choices_schema(ScheduleStatus.values), "One status, or several with commas."),
        "target_id": (UUID_SCHEMA, "Schedules of this target."),
        "search": (TEXT_SCHEMA, "Part of the name, in any case."),
    }

    def narrow(self, request: Request, queryset: QuerySet[Schedule]) -> QuerySet[Schedule]:
        """Schedules that match all of the parameters."""
        statuses = read_choices(request, "status", ScheduleStatus.values)
        target_id, search = read_uuid(request, "target_id"), read_text(request, "search")
        if statuses is not None:
            queryset = queryset.filter(status__in=statuses)
        if target_id is not None:
            queryset = queryset.filter(target_id=target_id)
        return queryset.filter(name__icontains=search) if search else queryset
