"""Filters of the list of targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework.request import Request

from scheduler_project.list_filters import TEXT_SCHEMA, ListFilters
from scheduler_project.query import read_text
from targets.models import Target


class TargetFilters(ListFilters):
    """`search`."""

    parameters: ClassVar[Mapping[str, tuple[dict[str, Any], str]]] = {
        "search": (TEXT_SCHEMA, "Part of the name, in any case."),
    }

    def narrow(self, request: Request, queryset: QuerySet[Target]) -> QuerySet[Target]:
        """Targets whose name contains the text."""
        search = read_text(request, "search")
        return queryset.filter(name__icontains=search) if search else queryset
