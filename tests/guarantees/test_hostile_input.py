"""Defence D9: what no client should send gets one clear answer, at every address that takes a body."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from pytest_django import Settings

from scheduler_project.env_file import BASE_DIR
from tests.api_client import ApiClient, wrong_places
from tests.factories import make_ended_run, make_schedule

pytestmark = [pytest.mark.django_db, pytest.mark.no_cover]
Json = dict[str, Any]

# Not JSON at all (RFC 8259): 400. Too big or deep: 413. JSON that no text, number or object can be made of: 422.
BODIES: dict[str, tuple[str | bytes, int]] = {
    "NUL in a text": ('{"FIELD": "a\\u0000b"}', 422),
    "NUL in a name": ('{"FI\\u0000ELD": 1}', 422),
    "NUL deep inside": ('{"FIELD": [{"a": ["\\u0000"]}]}', 422),
    "half a surrogate pair": ('{"FIELD": "\\ud800"}', 422),
    "the other half": ('{"FIELD": "\\udc00 and more"}', 422),
    "half a pair in a name": ('{"\\ud83d": 1}', 422),
    "a name twice": ('{"FIELD": 1, "FIELD": 1}', 422),
    "a name twice deep inside": ('{"FIELD": {"a": 1, "a": 2}}', 422),
    "a number beyond all": ('{"FIELD": 1e999}', 422),
    "a list": ("[]", 422),
    "a text": ('"x"', 422),
    "a number": ("1", 422),
    "null": ("null", 422),
    "a field that nobody knows": ('{"nobody_knows_this": 1}', 422),
    "NaN": ('{"FIELD": NaN}', 400),
    "Infinity": ('{"FIELD": Infinity}', 400),
    "-Infinity": ('{"FIELD": -Infinity}', 400),
    "digits of another script": ('{"FIELD": \u0661\u0662}', 400),
    "a number with a plus": ('{"FIELD": +1}', 400),
    "a number in hexadecimal": ('{"FIELD": 0x1}', 400),
    "a number that begins with 0": ('{"FIELD": 01}', 400),
    "quotes of another kind": ("{'FIELD': 1}", 400),
    "a comma too many": ('{"FIELD": 1,}', 400),
    "a comment": ('{"FIELD": 1} // x', 400),
    "two values": ("{}{}", 400),
    "half a value": ('{"FIELD": ', 400),
    "bad UTF-8": (b'{"FIELD": "\xff\xfe"}', 400),
    "an overlong slash": (b'{"FIELD": "\xc0\xaf"}', 400),
    "a surrogate in UTF-8": (b'{"FIELD": "\xed\xa0\x80"}', 400),
    "UTF-16": ('{"FIELD": 1}'.encode("utf-16"), 400),
    "a control character": (b'{"FIELD": "\x01"}', 400),
    "deep lists": ('{"FIELD": ' + "[" * 100_000 + "]" * 100_000 + "}", 413),
    "deep objects": ('{"a":' * 100_000 + "1" + "}" * 100_000, 413),
    "a huge text": ('{"FIELD": "' + "x" * 1_100_000 + '"}', 413),
}
ENDLESS_DIGITS = "9" * 5000


@cache
def operations() -> list[tuple[str, str, str]]:
    """Method, path and the name of one field of every operation that takes a body."""
    document: Json = json.loads((BASE_DIR / "docs" / "openapi.json").read_text())
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            if "$ref" in schema:
                properties = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]].get("properties", {})
                found.append((method.upper(), path.removeprefix("/api/v1"), next(iter(properties), "anything")))
    return found


@pytest.fixture
def api(settings: Settings) -> ApiClient:
    """A client that is never slowed down."""
    settings.API_THROTTLE = None
    return ApiClient()


def addresses(path: str) -> str:
    """The path with the id of something that exists."""
    if "{id}" not in path:
        return path
    run = make_ended_run(status="failed")
    found = {"targets": run.target_id, "schedules": run.schedule_id, "runs": run.id}
    return path.replace("{id}", str(found.get(path.split("/")[1], run.id)))


@pytest.mark.parametrize("kind", BODIES)
def test_d9_a_body_that_can_not_be_meant_has_one_answer_everywhere(api: ApiClient, kind: str) -> None:
    text, status = BODIES[kind]
    wrong = []
    for method, path, field in operations():
        raw = text if isinstance(text, bytes) else text.replace("FIELD", field).encode()
        answer = api.send(method, addresses(path), raw)
        # Where there is nothing of that kind and id, that is the answer.
        if answer.status_code not in (status, 404) or answer["Content-Type"] != "application/problem+json":
            wrong.append((method, path, answer.status_code, answer.content[:200]))
    assert wrong == []
    assert len(operations()) >= 8


TIMING: Json = {"schedule_type": "interval", "interval_seconds": 60}
CRON: Json = {"schedule_type": "cron", "cron_expression": "0 9 * * *"}
WRONG_VALUES: list[tuple[Json, str]] = [
    ({**TIMING, "interval_seconds": True}, "/interval_seconds"),
    ({**TIMING, "interval_seconds": "60"}, "/interval_seconds"),
    ({**TIMING, "interval_seconds": "\u0666\u0660"}, "/interval_seconds"),
    ({**TIMING, "interval_seconds": 0}, "/interval_seconds"),
    ({**TIMING, "interval_seconds": -1}, "/interval_seconds"),
    ({**TIMING, "interval_seconds": 2**63}, "/interval_seconds"),
    ({**TIMING, "interval_seconds": 366 * 86_400 + 1}, "/interval_seconds"),
    ({**TIMING, "max_runs": 2**31}, "/max_runs"),
    ({**TIMING, "max_runs": False}, "/max_runs"),
    ({**TIMING, "timezone": "Mars/Olympus"}, "/timezone"),
    ({**TIMING, "timezone": "../../etc/passwd"}, "/timezone"),
    ({**TIMING, "timezone": "posixrules"}, "/timezone"),
    ({**TIMING, "start_at": "2030-01-02T00:00:00Z", "expires_at": "2030-01-01T00:00:00Z"}, "/expires_at"),
    ({**TIMING, "start_at": "10000-01-01T00:00:00Z"}, "/start_at"),
    ({**TIMING, "expires_at": "9999-12-31T23:59:59-23:59"}, "/expires_at"),
    ({**TIMING, "start_at": "2030-02-30T00:00:00Z"}, "/start_at"),
    ({**TIMING, "start_at": "2030-01-01T00:00:00"}, "/start_at"),
    ({**TIMING, "duration_seconds": 1e300}, "/duration_seconds"),
    ({**CRON, "cron_expression": "0 0 30 2 *"}, "/cron_expression"),
    ({**CRON, "cron_expression": "* * * * * *"}, "/cron_expression"),
    ({**CRON, "cron_expression": "\u0660 0 * * *"}, "/cron_expression"),
    ({**CRON, "cron_expression": "R R * * *"}, "/cron_expression"),
    ({"schedule_type": "once", "run_at": "1999-01-01T00:00:00Z"}, "/run_at"),
]


@pytest.mark.parametrize(("fields", "place"), WRONG_VALUES)
def test_d9_a_value_that_makes_no_schedule_is_named(api: ApiClient, fields: Json, place: str) -> None:
    schedule = make_schedule()
    whole = {"name": "n", "target_id": str(schedule.target_id), **fields}
    assert place in wrong_places(api.post("/schedules", whole))
    assert place in wrong_places(api.patch(f"/schedules/{schedule.id}", fields))
    assert api.get("/schedules").json()["count"] == 1


@pytest.mark.parametrize("field", ["timeout_seconds", "connect_timeout_seconds", "max_concurrency"])
@pytest.mark.parametrize("text", ["true", '"5"', "-1", "1e308", "1e-400", ENDLESS_DIGITS, "[]", '"\u0665"'])
def test_d9_a_number_of_a_target_that_is_none_is_named(api: ApiClient, field: str, text: str) -> None:
    raw = f'{{"name": "n", "url": "https://example.com/", "{field}": {text}}}'.encode()
    answer = api.send("POST", "/targets", raw)
    assert answer.status_code in (400, 422), answer.content
    if answer.status_code == 422:
        assert wrong_places(answer) == [f"/{field}"]
    assert api.get("/targets").json()["count"] == 0
