"""The answer to a POST that made something."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response


def created_response(
    request: Request,
    data: Any,
    *,
    route: str,
    created_id: UUID,
    status: int = 201,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """`data` with the address of the new thing in Location (RFC 9110, section 10.2.2); `route` is its detail route."""
    location = request.build_absolute_uri(reverse(route, kwargs={"id": created_id}))
    return Response(data, status=status, headers={"Location": location, **(headers or {})})
