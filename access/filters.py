"""Filters of the lists of this app."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework.request import Request

from access.models import ApiKey
from scheduler_project.list_filters import ListFilters
from scheduler_project.query import read_bool


class ApiKeyFilters(ListFilters):
    """`revoked`."""

    parameters: ClassVar[Mapping[str, tuple[dict[str, Any], str]]] = {
        "revoked": ({"type": "boolean"}, "Only revoked keys, or only those that are not."),
    }

    def narrow(self, request: Request, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        """Keys in that state."""
        revoked = read_bool(request, "revoked")
        return queryset if revoked is None else queryset.filter(revoked_at__isnull=not revoked)
