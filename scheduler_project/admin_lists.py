"""Lists in the admin that cost the same whether a table has ten rows or ten million."""

from __future__ import annotations

from typing import Any, TypeVar

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.functional import cached_property

Row = TypeVar("Row", bound=models.Model)
# Further back than this, people filter; counting a million rows for a page number would take seconds.
MOST_ROWS_COUNTED = 5000


class BoundedPaginator(Paginator[Any]):
    """Pages over at most `MOST_ROWS_COUNTED` rows."""

    @cached_property
    def count(self) -> int:
        """Rows, up to the bound."""
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        return rows.order_by()[:MOST_ROWS_COUNTED].count()

    @property
    def is_cut(self) -> bool:
        """Whether there may be more rows than it pages over."""
        return self.count >= MOST_ROWS_COUNTED


class BoundedList(admin.ModelAdmin[Row]):
    """A list without counts of whole tables, of filters, or of more rows than anyone pages through."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator
    list_per_page = 50
    list_max_show_all = 0

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Turn away what PostgreSQL can't even be asked for: a NUL in a filter."""
        if any("\0" in text for name, values in request.GET.lists() for text in (name, *values)):
            messages.error(request, "The filters in that address can't be read. This is the whole list.")
            return HttpResponseRedirect(request.path)
        return super().changelist_view(request, extra_context)


class ReadOnly(BoundedList[Row]):
    """Rows that people look at and never edit."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """They come from services and workers."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        """History is not edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        """They go with what they belong to."""
        return False
