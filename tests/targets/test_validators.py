"""What a target must be like to be saved."""

from __future__ import annotations

import math
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from targets.errors import InvalidFields
from targets.masking import MASK
from targets.validators import check_target_fields

GOOD: dict[str, Any] = {
    "name": "Orders API",
    "url": "https://api.example.com/orders",
    "method": "POST",
    "headers": {},
    "body_template": None,
    "timeout_seconds": 30,
    "connect_timeout_seconds": 10.0,
    "follow_redirects": False,
    "verify_tls": True,
    "expected_status": "200-299",
    "response_must_contain": None,
    "max_concurrency": None,
}
JSON = {"Content-Type": "application/json"}

ACCEPTED: list[dict[str, Any]] = [
    {},
    {"name": "ü" * 200},
    {"url": "http://example.com/{{ run_id }}?n={{schedule_name}}"},
    {"url": "https://example.com/".ljust(2048, "a")},
    {"url": "http://my_service:8080/"},
    *[{"method": method} for method in ("GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")],
    {"method": "GET", "body_template": "{}"},
    {"headers": {"Authorization": "Bearer x", "User-Agent": "mine", "Content-Type": "text/csv"}},
    {"headers": {"X-Note": "{{target_name}} {{schedule_name}}"}},
    {"headers": {"X-Note": MASK}},
    {"body_template": ""},
    {"body_template": "not json"},
    {"body_template": "x" * 262_144},
    {"body_template": "", "headers": JSON},
    {"body_template": '{"n": {{attempt}}, "id": "{{run_id}}"}', "headers": JSON},
    {"timeout_seconds": 0.1},
    {"timeout_seconds": 120},
    {"connect_timeout_seconds": 0.1},
    {"connect_timeout_seconds": 120},
    {"expected_status": "200,201,204"},
    {"expected_status": "200-204,404"},
    {"response_must_contain": "x" * 10_000},
    {"max_concurrency": 1},
    {"max_concurrency": 10_000},
    {"follow_redirects": True, "verify_tls": False},
]

REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"name": ""}, "name", "Give the target a name"),
    ({"name": " "}, "name", "Give the target a name"),
    ({"name": None}, "name", "must be text"),
    ({"name": "x" * 201}, "name", "has 201 characters; at most 200"),
    ({"name": "a\nb"}, "name", "line breaks or other control characters"),
    ({"name": "a\x00b"}, "name", "NUL"),
    ({"name": "\ud800"}, "name", "surrogate"),
    ({"url": None}, "url", "must be text"),
    ({"url": ""}, "url", "must start with http:// or https://"),
    ({"url": "ftp://example.com/"}, "url", "must start with http:// or https://"),
    ({"url": "https://example.com/".ljust(2049, "a")}, "url", "has 2049 characters; at most 2048"),
    ({"url": "https://example.com/\x00"}, "url", "NUL"),
    ({"url": "https://example.com/a b"}, "url", "a space"),
    ({"url": "https://user:pw@example.com/"}, "url", "Authorization header"),
    ({"url": "https://{{run_id}}.example.com/"}, "url", "only in its path and query"),
    ({"url": "https://example.com/{{nope}}"}, "url", "{{nope}} is not a placeholder"),
    ({"url": "http://10.0.0.5/"}, "url", "10.0.0.5 is a private address. Add it to EGRESS_ALLOW_CIDRS to allow it."),
    ({"url": "http://localhost:8000/"}, "url", "EGRESS_ALLOW_CIDRS"),
    ({"url": "http://2130706433/"}, "url", "four decimal numbers"),
    ({"url": "http://example.com:6379/"}, "url", "EGRESS_ALLOW_PORTS"),
    ({"method": "TRACE"}, "method", "must be one of GET, POST, PUT"),
    ({"method": "get"}, "method", "must be one of GET, POST, PUT"),
    ({"method": None}, "method", "must be one of"),
    ({"method": ["GET"]}, "method", "must be one of"),
    ({"headers": None}, "headers", "must be an object"),
    ({"headers": ["a"]}, "headers", "must be an object"),
    ({"headers": {"X-Note": 1}}, "headers", "must be an object"),
    ({"headers": {"Host": "a"}}, "headers", "Host is set by the HTTP client"),
    ({"headers": {"X-Note": "ü"}}, "headers", "The value of X-Note"),
    ({"headers": {"X-Note": "{{nope}}"}}, "headers", "{{nope}} is not a placeholder"),
    ({"headers": {"X-Note": "{{target_name}}"}, "name": "Bücher"}, "headers", "The value of X-Note"),
    ({"body_template": 5}, "body_template", "must be text"),
    ({"body_template": {"a": 1}}, "body_template", "must be text"),
    ({"body_template": "\x00"}, "body_template", "NUL"),
    ({"body_template": "\udfff"}, "body_template", "surrogate"),
    ({"body_template": "{{nope}}"}, "body_template", "{{nope}} is not a placeholder"),
    ({"body_template": "x" * 262_145}, "body_template", "has 262145 bytes; at most 262144"),
    ({"body_template": "ü" * 131_073}, "body_template", "has 262146 bytes; at most 262144"),
    ({"body_template": "{", "headers": JSON}, "body_template", "Content-Type says JSON"),
    ({"body_template": "[{{run_id}}]", "headers": JSON}, "body_template", "must stand within quotes"),
    ({"body_template": "{", "headers": {"content-type": "a/b+json; v=1"}}, "body_template", "Content-Type says JSON"),
    ({"timeout_seconds": 0}, "timeout_seconds", "from 0.1 to 120 (setting MAX_TIMEOUT_SECONDS = 120)"),
    ({"timeout_seconds": -1}, "timeout_seconds", "from 0.1 to 120"),
    ({"timeout_seconds": 120.5}, "timeout_seconds", "from 0.1 to 120"),
    ({"timeout_seconds": 10**400}, "timeout_seconds", "from 0.1 to 120"),
    ({"timeout_seconds": math.nan}, "timeout_seconds", "from 0.1 to 120"),
    ({"timeout_seconds": math.inf}, "timeout_seconds", "from 0.1 to 120"),
    ({"timeout_seconds": True}, "timeout_seconds", "from 0.1 to 120"),
    ({"timeout_seconds": "30"}, "timeout_seconds", "from 0.1 to 120"),
    ({"timeout_seconds": None}, "timeout_seconds", "from 0.1 to 120"),
    ({"connect_timeout_seconds": 0.05}, "connect_timeout_seconds", "from 0.1 to 120"),
    ({"connect_timeout_seconds": 121}, "connect_timeout_seconds", "from 0.1 to 120"),
    ({"follow_redirects": 1}, "follow_redirects", "must be true or false"),
    ({"follow_redirects": None}, "follow_redirects", "must be true or false"),
    ({"verify_tls": "yes"}, "verify_tls", "must be true or false"),
    ({"expected_status": None}, "expected_status", "must be text"),
    ({"expected_status": ""}, "expected_status", "is not a status code or range"),
    ({"expected_status": "2xx"}, "expected_status", "'2xx' is not a status code or range"),
    ({"expected_status": ",".join(["200"] * 51)}, "expected_status", "has 203 characters; at most 200"),
    ({"response_must_contain": 5}, "response_must_contain", "must be text"),
    ({"response_must_contain": "x" * 10_001}, "response_must_contain", "has 10001 characters; at most 10000"),
    ({"response_must_contain": "\x00"}, "response_must_contain", "NUL"),
    ({"max_concurrency": 0}, "max_concurrency", "from 1 to 10000"),
    ({"max_concurrency": 10_001}, "max_concurrency", "from 1 to 10000"),
    ({"max_concurrency": 1.5}, "max_concurrency", "from 1 to 10000"),
    ({"max_concurrency": True}, "max_concurrency", "from 1 to 10000"),
]


@pytest.fixture(autouse=True)
def nothing_opened(settings: Settings) -> None:
    settings.EGRESS_ALLOW_CIDRS = []
    settings.EGRESS_ALLOW_HOSTS = []
    settings.MAX_TIMEOUT_SECONDS = 120


def errors_of(changes: dict[str, Any]) -> dict[str, str]:
    try:
        check_target_fields({**GOOD, **changes}, {})
    except InvalidFields as refusal:
        return refusal.errors
    return {}


@pytest.mark.parametrize("changes", ACCEPTED, ids=str)
def test_it_accepts_a_target_that_can_be_called(changes: dict[str, Any]) -> None:
    assert errors_of(changes) == {}


@pytest.mark.parametrize(("changes", "field", "words"), REFUSED, ids=lambda value: str(value)[:60])
def test_it_refuses_a_field_with_one_sentence(changes: dict[str, Any], field: str, words: str) -> None:
    errors = errors_of(changes)
    assert set(errors) == {field}
    assert words in errors[field]


def test_it_tells_all_problems_at_once() -> None:
    assert set(errors_of({"name": "", "url": "x", "timeout_seconds": 0})) == {"name", "url", "timeout_seconds"}


def test_it_names_every_field_that_is_missing() -> None:
    with pytest.raises(InvalidFields) as refusal:
        check_target_fields({}, {})
    assert {"name", "url", "method", "headers", "timeout_seconds"} <= set(refusal.value.errors)


def test_it_accepts_an_address_that_the_operator_opened(settings: Settings) -> None:
    settings.EGRESS_ALLOW_CIDRS = [ip_network("127.0.0.0/8")]
    assert errors_of({"url": "http://localhost:8000/health"}) == {}


def test_it_follows_the_maximum_that_the_operator_set(settings: Settings) -> None:
    settings.MAX_TIMEOUT_SECONDS = 600
    assert errors_of({"timeout_seconds": 600}) == {}
    assert "from 0.1 to 600" in errors_of({"timeout_seconds": 601})["timeout_seconds"]


ANYTHING = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(max_size=3), max_size=3)
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(GOOD, ANYTHING)))
def test_no_input_raises_anything_but_a_refusal(changes: dict[str, Any]) -> None:
    assert all(sentence.endswith(".") for sentence in errors_of(changes).values())
