"""Reading query parameters strictly: each reader gives the value, the default, or one 422 that names `?parameter`."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from typing import overload
from uuid import UUID

from rest_framework.request import Request

from scheduler_project.problems import bad_query
from scheduler_project.rfc3339 import parse_query_moment

UUID_PATTERN = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
WHOLE_NUMBER = re.compile("-?[0-9]{1,18}", re.ASCII)


def read_text(request: Request, name: str) -> str | None:
    """The parameter as it is; None where it is absent."""
    return request.query_params.get(name)


@overload
def read_integer(request: Request, name: str, default: int, *, low: int, high: int | None = None) -> int: ...
@overload
def read_integer(request: Request, name: str, default: None, *, low: int, high: int | None = None) -> int | None: ...
def read_integer(request: Request, name: str, default: int | None, *, low: int, high: int | None = None) -> int | None:
    """A whole number of at most 18 digits, from `low` to `high` (no upper end unless given)."""
    text = request.query_params.get(name)
    if text is None:
        return default
    meant = f"a whole number, at least {low}" if high is None else f"a whole number from {low} to {high}"
    if not WHOLE_NUMBER.fullmatch(text) or int(text) < low or (high is not None and int(text) > high):
        raise bad_query(name, f"Must be {meant}.")
    return int(text)


def read_uuid(request: Request, name: str) -> UUID | None:
    """A UUID in its usual form (RFC 9562, section 4)."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not re.fullmatch(UUID_PATTERN, text):
        raise bad_query(name, "Must be a UUID.")
    return UUID(text)


def read_moment(request: Request, name: str) -> datetime | None:
    """An RFC 3339 time with offset, as UTC; a space counts as the plus sign that it was."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return parse_query_moment(text)
    except ValueError as error:
        raise bad_query(name, str(error)) from error


def read_choice(request: Request, name: str, choices: Collection[str]) -> str | None:
    """One of `choices`."""
    text = request.query_params.get(name)
    if text is not None and text not in choices:
        raise bad_query(name, f"Must be one of: {', '.join(choices)}.", "invalid_choice")
    return text


def read_bool(request: Request, name: str) -> bool | None:
    """`true` or `false`."""
    text = read_choice(request, name, ("true", "false"))
    return None if text is None else text == "true"
