"""No input answers 500: every documented operation against values that nobody should send (guarantee D9)."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from scheduler_project.env_file import BASE_DIR
from tests.factories import make_attempt, make_ended_run, make_schedule
from tests.signed_in import new_key

Json = dict[str, Any]
NASTY_TEXT = [
    "",
    " ",
    "\0",
    "\ud800",
    "x" * 5000,
    "null",
    "-1",
    "0",
    "1e999",
    "é",
    "\u0665",
    "{{",
    "{{nope}}",
    "%",
    "\r\n",
    "'; --",
    "../..",
    "9" * 400,
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2026-02-30T00:00:00Z",
    "http://[",
    "http://a b/",
    "https://example.com/",
    "* * * * *",
    "0 0 30 2 *",
    "UTC",
    "Etc/Unknown",
    "200-299",
    "999-1",
    "true",
    "*",
    ",",
    "success,,",
]
NASTY_NUMBERS = [
    0,
    -1,
    1,
    0.5,
    -0.0,
    1e-300,
    1e308,
    2**31,
    2**53,
    2**63 - 1,
    -(2**63),
    2**64,
    10**307,
    366 * 86_400 + 1,
]
SCALARS = st.sampled_from([None, True, False, *NASTY_NUMBERS]) | st.sampled_from(NASTY_TEXT) | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NASTY_TEXT), inner, max_size=3)
)
PLAUSIBLE: Json = {
    "name": "n",
    "url": "https://example.com/",
    "schedule_type": "interval",
    "interval_seconds": 60,
    "method": "GET",
    "cron_expression": "*/5 * * * *",
    "run_at": "2100-01-01T00:00:00Z",
    "timezone": "Africa/Cairo",
}


@cache
def document() -> Json:
    found: Json = json.loads((BASE_DIR / "docs" / "openapi.json").read_text())
    return found


OPERATIONS = [
    (method, path)
    for path, methods in document()["paths"].items()
    for method in methods
    # Calls out where it finds its target.
    if not path.endswith("/test")
]


def fields_of(method: str, path: str) -> list[str]:
    """The names in the operation's body."""
    operation = document()["paths"][path][method]
    if "requestBody" not in operation:
        return []
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    return list(document()["components"]["schemas"][reference.rpartition("/")[2]]["properties"])


def parameters_of(method: str, path: str) -> list[str]:
    """The names in the operation's query string."""
    parameters = document()["paths"][path][method].get("parameters", [])
    return [parameter["name"] for parameter in parameters if parameter["in"] == "query"]


@st.composite
def bodies(draw: st.DrawFn, names: list[str]) -> Any:
    """An object that is right in some places and wrong in others, sometimes something else altogether."""
    if draw(st.integers(0, 9)) == 0:
        return draw(VALUES)
    body = {name: PLAUSIBLE[name] for name in names if name in PLAUSIBLE and draw(st.booleans())}
    for name in draw(st.lists(st.sampled_from([*names, "nope"]), max_size=3)):
        body[name] = draw(VALUES)
    return body


class Sender:
    """Sends whatever it is given, with a key that may do everything."""

    def __init__(self) -> None:
        schedule = make_schedule()
        run = make_ended_run(schedule)
        make_attempt(run)
        self.ids = {"targets": str(schedule.target_id), "schedules": str(schedule.id), "runs": str(run.id)}
        self.client = Client(raise_request_exception=False, headers={"authorization": f"Bearer {new_key('admin')}"})

    def send(self, method: str, path: str, query: Json, body: Any, headers: dict[str, str]) -> Any:
        """One request; `{id}` becomes the id of something that exists."""
        address = path.replace("{id}", self.ids.get(path.split("/")[3], "x"))
        raw = b"" if body is None else json.dumps(body).encode()
        values = {name: value.encode("utf-8", "surrogatepass") for name, value in query.items()}
        return self.client.generic(
            method.upper(), address, raw, content_type="application/json", query_params=values, headers=headers
        )


@pytest.mark.no_cover
@pytest.mark.django_db
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_input_is_an_error_of_ours(settings: Settings, method: str, path: str, data: st.DataObject) -> None:
    settings.API_THROTTLE = None
    sender = Sender()
    names = parameters_of(method, path)
    query = data.draw(st.dictionaries(st.sampled_from([*names, "nope"]), st.sampled_from(NASTY_TEXT), max_size=3))
    body = data.draw(bodies(fields_of(method, path))) if method in ("post", "patch") else None
    header = data.draw(st.sampled_from(["If-Match", "Idempotency-Key", "Accept"]))
    value = data.draw(st.sampled_from(["", "*", '"x"', "x" * 300, "a\tb", 'W/"', "application/json;q=2"]))
    response = sender.send(method, path, query, body, {header: value})
    assert response.status_code < 500, response.content
    if response.status_code >= 400:
        assert response["Content-Type"] == "application/problem+json"
