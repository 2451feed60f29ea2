"""Pages of lists: limit and offset for what people make, a cursor for what the worker makes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from uuid import UUID

from rest_framework.pagination import BasePagination, LimitOffsetPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from scheduler_project.problems import bad_query
from scheduler_project.query import read_integer

if TYPE_CHECKING:
    from rest_framework.views import APIView  # it imports this module through its settings

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
Direction = Literal["older", "newer"]
LIMIT_PARAMETER = {
    "name": "limit",
    "in": "query",
    "required": False,
    "description": f"Results per page; above {MAX_LIMIT} it is {MAX_LIMIT}.",
    "schema": {"type": "integer", "minimum": 1, "default": DEFAULT_LIMIT},
}
LINK_SCHEMA = {"type": ["string", "null"], "format": "uri"}


def read_limit(request: Request) -> int:
    """`?limit`: at least 1; above `MAX_LIMIT` it is `MAX_LIMIT`."""
    return min(read_integer(request, "limit", DEFAULT_LIMIT, low=1), MAX_LIMIT)


class LimitOffset(LimitOffsetPagination):
    """`{count, next, previous, results}`; junk in `limit` or `offset` is a 422, an offset past the end is empty."""

    default_limit = DEFAULT_LIMIT
    max_limit = MAX_LIMIT
    template = None

    def get_limit(self, request: Request) -> int:
        """See `read_limit`."""
        return read_limit(request)

    def get_offset(self, request: Request) -> int:
        """`?offset`: zero or more."""
        return read_integer(request, "offset", 0, low=0)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The page in OpenAPI's words."""
        count = {"type": "integer", "description": "All that match, on any page."}
        return _page_schema({"count": count}, schema)

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        """The two parameters in OpenAPI's words."""
        offset = {
            "name": "offset",
            "in": "query",
            "required": False,
            "description": "How many results to pass over.",
            "schema": {"type": "integer", "minimum": 0, "default": 0},
        }
        return [LIMIT_PARAMETER, offset]


class Cursor(NamedTuple):
    """A place between rows: the page holds what is older (smaller ids) or newer (greater ids) than `id`."""

    direction: Direction
    id: UUID

    def encode(self) -> str:
        """As text for a query string."""
        return base64.urlsafe_b64encode(self.direction[:1].encode() + self.id.bytes).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """The cursor that `encode` made.

        Raises:
            ValueError: any other text.
        """
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("not base64") from None
        directions: dict[bytes, Direction] = {b"o": "older", b"n": "newer"}
        if len(raw) != 17 or raw[:1] not in directions:
            raise ValueError("not a cursor")
        cursor = cls(directions[raw[:1]], UUID(bytes=raw[1:]))
        if cursor.encode() != text:
            raise ValueError("not as encode() writes it")
        return cursor


class NewestFirst(BasePagination):
    """`{next, previous, results}` by descending id (a UUIDv7, so newest first); `next` is older, `previous` newer.

    A place in the list is an id, so rows that arrive meanwhile shift nothing, and no page counts or skips rows.
    """

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any]:
        """At most `limit` rows at the cursor, newest first."""
        self.request = request
        limit, cursor = read_limit(request), self._cursor(request)
        newer = cursor is not None and cursor.direction == "newer"
        if cursor is not None:
            queryset = queryset.filter(id__gt=cursor.id) if newer else queryset.filter(id__lt=cursor.id)
        # One more than asked for tells whether there is a further page.
        found = list(queryset.order_by("id" if newer else "-id")[: limit + 1])
        more = len(found) > limit
        page = found[:limit][::-1] if newer else found[:limit]
        self._set_links(page, cursor, more=more)
        return page

    def _set_links(self, page: Sequence[Any], cursor: Cursor | None, *, more: bool) -> None:
        newer = cursor is not None and cursor.direction == "newer"
        first, last = _ends(page, cursor)
        self.next_cursor = Cursor("older", last) if last and (newer or more) else None
        self.previous_cursor = Cursor("newer", first) if first and (more if newer else cursor) else None

    def get_paginated_response(self, data: Any) -> Response:
        """The page's body."""
        links = {"next": self._link(self.next_cursor), "previous": self._link(self.previous_cursor)}
        return Response({**links, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The page in OpenAPI's words."""
        return _page_schema({}, schema)

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        """The two parameters in OpenAPI's words."""
        cursor = {
            "name": "cursor",
            "in": "query",
            "required": False,
            "description": "A place in the list, from the `next` or `previous` of a page.",
            "schema": {"type": "string"},
        }
        return [LIMIT_PARAMETER, cursor]

    def _link(self, cursor: Cursor | None) -> str | None:
        if cursor is None:
            return None
        return replace_query_param(self.request.build_absolute_uri(), "cursor", cursor.encode())

    @staticmethod
    def _cursor(request: Request) -> Cursor | None:
        text = request.query_params.get("cursor")
        if text is None:
            return None
        try:
            return Cursor.decode(text)
        except ValueError as error:
            raise bad_query("cursor", "Must be taken from a next or previous link.") from error


def _ends(page: Sequence[Any], cursor: Cursor | None) -> tuple[UUID | None, UUID | None]:
    """The ids that the newer and the older neighbour pages start from; an empty page lies at its cursor."""
    if page:
        return page[0].id, page[-1].id
    if cursor is None:
        return None, None
    # The neighbour includes the row at the cursor itself: newer than one less, older than one more.
    place = cursor.id.int
    return UUID(int=max(place - 1, 0)), UUID(int=min(place + 1, 2**128 - 1))


def _page_schema(members: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    properties = {**members, "next": LINK_SCHEMA, "previous": LINK_SCHEMA, "results": results}
    return {"type": "object", "required": list(properties), "properties": properties}
