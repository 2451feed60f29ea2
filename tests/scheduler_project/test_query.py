"""Query parameters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from scheduler_project.problems import Unacceptable
from scheduler_project.query import read_bool, read_choice, read_integer, read_moment, read_text, read_uuid

ID = "0197a5f0-0000-7000-8000-000000000000"


def asking(query: str) -> Request:
    return Request(APIRequestFactory().get(f"/?{query}"))


def read_count(request: Request, name: str) -> int:
    return read_integer(request, name, 10, low=1, high=100)


def read_color(request: Request, name: str) -> str | None:
    return read_choice(request, name, ("red", "green"))


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (read_text, "a%20b", "a b"),
        (read_count, "1", 1),
        (read_count, "100", 100),
        (read_uuid, ID, UUID(ID)),
        (read_uuid, ID.upper(), UUID(ID)),
        (read_color, "green", "green"),
        (read_bool, "true", True),
        (read_bool, "false", False),
        (read_moment, "2026-03-10T12:00:00Z", datetime(2026, 3, 10, 12, tzinfo=UTC)),
        (read_moment, "2026-03-10T17:30:00+05:30", datetime(2026, 3, 10, 12, tzinfo=UTC)),
        (read_moment, "2026-03-10T17:30:00%2B05:30", datetime(2026, 3, 10, 12, tzinfo=UTC)),
    ],
)
def test_it_reads_what_is_meant(read: Callable[[Request, str], Any], text: str, value: Any) -> None:
    assert read(asking(f"p={text}"), "p") == value


@pytest.mark.parametrize(
    ("read", "default"),
    [
        (read_text, None),
        (read_count, 10),
        (read_uuid, None),
        (read_color, None),
        (read_bool, None),
        (read_moment, None),
    ],
)
def test_an_absent_parameter_is_the_default(read: Callable[[Request, str], Any], default: Any) -> None:
    assert read(asking("other=1"), "p") == default


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (read_count, "0"),
        (read_count, "101"),
        (read_count, ""),
        (read_count, "1.0"),
        (read_count, "%D9%A3"),
        (read_count, "9" * 5000),
        (read_uuid, ""),
        (read_uuid, "1"),
        (read_uuid, ID + "0"),
        (read_uuid, ID + "%0A"),
        (read_color, "blue"),
        (read_color, ""),
        (read_bool, "1"),
        (read_bool, "True"),
        (read_moment, ""),
        (read_moment, "today"),
        (read_moment, "2026-03-10T12:00:00"),
        (read_moment, "10000-03-10T12:00:00Z"),
    ],
)
def test_anything_else_is_a_422_that_names_the_parameter(read: Callable[[Request, str], Any], text: str) -> None:
    with pytest.raises(Unacceptable) as caught:
        read(asking(f"p={text}"), "p")
    assert [error.pointer for error in caught.value.errors] == ["?p"]


def test_the_answer_says_what_is_possible() -> None:
    with pytest.raises(Unacceptable, match="from 1 to 100"):
        read_count(asking("p=0"), "p")
    with pytest.raises(Unacceptable, match="red, green"):
        read_color(asking("p=blue"), "p")
