"""Filters of the lists of this app."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from rest_framework.request import Request

from access.models import ApiKey, AuditEvent
from scheduler_project.list_filters import MOMENT_SCHEMA, TEXT_SCHEMA, ListFilters
from scheduler_project.query import read_bool, read_moment, read_text


class ApiKeyFilters(ListFilters):
    """`revoked`."""

    parameters: ClassVar[Mapping[str, tuple[dict[str, Any], str]]] = {
        "revoked": ({"type": "boolean"}, "Only revoked keys, or only those that are not."),
    }

    def narrow(self, request: Request, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        """Keys in that state."""
        revoked = read_bool(request, "revoked")
        return queryset if revoked is None else queryset.filter(revoked_at__isnull=not revoked)


class AuditFilters(ListFilters):
    """`actor action object_type object_id start_time end_time`."""

    parameters: ClassVar[Mapping[str, tuple[dict[str, Any], str]]] = {
        "actor": (TEXT_SCHEMA, "The id or the name of who acted."),
        "action": (TEXT_SCHEMA, "Such as target.update; a part before the dot means all of it."),
        "object_type": (TEXT_SCHEMA, "Such as target, schedule, run, api_key, secret, user."),
        "object_id": (TEXT_SCHEMA, "The id of what was acted on."),
        "start_time": (MOMENT_SCHEMA, "From this moment on."),
        "end_time": (MOMENT_SCHEMA, "Before this moment."),
    }

    def narrow(self, request: Request, queryset: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        """The events that match all of them."""
        for name, condition in _AUDIT_CONDITIONS.items():
            text = read_text(request, name)
            if text is not None:
                queryset = queryset.filter(condition(text))
        start, end = read_moment(request, "start_time"), read_moment(request, "end_time")
        queryset = queryset if start is None else queryset.filter(at__gte=start)
        return queryset if end is None else queryset.filter(at__lt=end)


_AUDIT_CONDITIONS: dict[str, Callable[[str], Q]] = {
    "actor": lambda text: Q(actor_id=text) | Q(actor=text),
    "action": lambda text: Q(action=text) if "." in text else Q(action=text) | Q(action__startswith=f"{text}."),
    "object_type": lambda text: Q(object_type=text),
    "object_id": lambda text: Q(object_id=text),
}
