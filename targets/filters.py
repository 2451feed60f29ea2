"""Filters of the list of targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from django.db.models import Model, QuerySet
from rest_framework.request import Request

from scheduler_project.list_filters import TEXT_SCHEMA, ListFilters
from scheduler_project.query import read_text
from targets.models import Secret, Target

Row = TypeVar("Row", bound=Model)
SEARCH = (TEXT_SCHEMA, "Part of the name, in any case.")


class TargetFilters(ListFilters):
    """`search` and `secret`."""

    parameters: ClassVar[Mapping[str, tuple[dict[str, Any], str]]] = {
        "search": SEARCH,
        "secret": (TEXT_SCHEMA, "The name of a secret: targets that use it."),
    }

    def narrow(self, request: Request, queryset: QuerySet[Target]) -> QuerySet[Target]:
        """Targets whose name contains the text, and that use the secret."""
        secret = read_text(request, "secret")
        if secret is not None:
            queryset = queryset.filter(secret_uses__secret__name=secret)
        return named_like(request, queryset)


class SecretFilters(ListFilters):
    """`search`."""

    parameters: ClassVar[Mapping[str, tuple[dict[str, Any], str]]] = {"search": SEARCH}

    def narrow(self, request: Request, queryset: QuerySet[Secret]) -> QuerySet[Secret]:
        """Secrets whose name contains the text."""
        return named_like(request, queryset)


def named_like(request: Request, queryset: QuerySet[Row]) -> QuerySet[Row]:
    """Rows whose name contains the text of `search`."""
    search = read_text(request, "search")
    return queryset.filter(name__icontains=search) if search else queryset
