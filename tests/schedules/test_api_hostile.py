"""No input answers 500, on either database, and nothing that was accepted breaks a list (guarantee D9)."""

from __future__ import annotations

import json
from itertools import cycle
from typing import Any
from uuid import uuid4

import pytest

from schedules.drafts import TIMING_FIELDS
from schedules.drafts import USER_FIELDS as SCHEDULE_FIELDS
from targets.services import USER_FIELDS as TARGET_FIELDS
from tests.api_client import ApiClient
from tests.factories import make_ended_run, make_run, make_schedule, make_target

pytestmark = [pytest.mark.django_db, pytest.mark.no_cover]

DEEP = b"[" * 100_000
# Each is raw JSON, so that values which Python's encoder would not write are in it, too.
VALUES: list[bytes] = [
    b"null",
    b"true",
    b"0",
    b"-1",
    b"0.1",
    b"1e400",
    b"-0.0",
    b"1e22",
    b"2147483648",
    b"9223372036854775807",
    b"9223372036854775808",
    b"9" * 5000,
    b'""',
    b'" "',
    b'"\\u0000"',
    b'"a\\ud800b"',
    b'"\\ud83d\\ude00"',
    b'"' + b"x" * 70_000 + b'"',
    '"٣"'.encode(),
    '"٢٠٢٦-٠١-٠١T٠٠:٠٠:٠٠Z"'.encode(),
    b'"10000-01-01T00:00:00Z"',
    b'"9999-12-31T23:59:59.999999-14:00"',
    b'"9999-12-30T00:00:00Z"',
    b'"8999-12-31T23:59:59Z"',
    b'"0001-01-01T00:00:00+14:00"',
    b'"1970-01-01T00:00:00Z"',
    b'"2026-02-30T00:00:00Z"',
    b'"2026-12-31T23:59:60Z"',
    b'"2100-01-01T00:00:00+99:99"',
    b'"2999-01-01T00:00:00Z"',
    b'"Africa/Monrovia"',
    b'"GMT0"',
    b'"/etc/localtime"',
    b'"."',
    b'"\\u0001"',
    b'"0 0 29 2 *"',
    b'"0 0 31 2 *"',
    b'"*/0 * * * *"',
    b'"99999999999999999999 * * * *"',
    b'"1-1/1,L,W,#5 ? * R H"',
    b'"http://[::1"',
    b'"http://a.example:99999999999/"',
    b'"http://\\u0130.example/"',
    b'"http://a.example/{{"',
    b'"{{{{{{}}}}"',
    b'"00000000-0000-0000-0000-000000000000"',
    b'"200-"',
    b"[]",
    b"{}",
    b'["' + b"x" * 100 + b'"]',
    b'{"a": 1}',
    b'{"a": "\\u0000"}',
    b'{"X-A": "b", "x-a": "c"}',
    b'{"": ""}',
    b'{"X\\u0000": "b"}',
    b"[" * 200 + b"]" * 200,
    b"NaN",
    b"-Infinity",
    b"01",
    b"'x'",
    b"",
]


def survives(api: ApiClient, method: str, path: str, body: bytes | None = None) -> int:
    answer = api.send(method, path, body)
    assert answer.status_code < 500, (method, path, (body or b"")[:200], answer.content)
    if answer.status_code >= 400:
        problem = answer.json()
        assert problem["status"] == answer.status_code
        assert problem["detail"]
    return answer.status_code


def with_field(body: dict[str, Any], name: str, value: bytes) -> bytes:
    """The body as JSON, with a raw value in one field."""
    rest = {key: item for key, item in body.items() if key != name}
    return json.dumps(rest).encode()[:-1] + b', "' + name.encode() + b'": ' + value + b"}"


def lists_survive(api: ApiClient) -> None:
    for path in ("/targets?limit=1000", "/schedules?limit=1000", "/runs?limit=1000"):
        assert survives(api, "GET", path) == 200


@pytest.mark.parametrize("name", TARGET_FIELDS)
def test_no_value_of_a_targets_field_breaks_anything(name: str) -> None:
    api, target = ApiClient(), make_target(url="http://a.example/")
    for value in VALUES:
        survives(api, "POST", "/targets", with_field({"name": "x", "url": "http://a.example/"}, name, value))
        survives(api, "PATCH", f"/targets/{target.id}", with_field({"verify_tls": True}, name, value))
    lists_survive(api)


TIMINGS: list[dict[str, Any]] = [
    {"schedule_type": "interval", "interval_seconds": 366 * 86_400},
    {"schedule_type": "cron", "cron_expression": "0 0 29 2 *"},
    {"schedule_type": "once", "run_at": "8999-12-31T00:00:00Z"},
]


@pytest.mark.parametrize("name", SCHEDULE_FIELDS)
def test_no_value_of_a_schedules_field_breaks_anything(name: str) -> None:
    api, schedule = ApiClient(), make_schedule()
    whole = {"name": "x", "target_id": str(schedule.target_id)}
    # Each value meets one type; neighbours in the list meet the others.
    for value, timing in zip(VALUES, cycle(TIMINGS), strict=False):
        survives(api, "POST", "/schedules", with_field({**whole, **timing}, name, value))
        survives(api, "PATCH", f"/schedules/{schedule.id}", with_field(timing, name, value))
        if name in (*TIMING_FIELDS, "max_runs"):
            survives(api, "POST", "/schedules/preview", with_field(timing, name, value))
    lists_survive(api)
    for row in api.get("/schedules", limit="3").json()["results"]:
        survives(api, "GET", f"/schedules/{row['id']}/preview?from=2100-12-31T23:59:59Z&count=100")
        survives(api, "GET", f"/schedules/{row['id']}/explain?at=2500-01-01T00:00:00Z")


@pytest.mark.parametrize("name", ["count", "from", "nonsense"])
def test_no_value_of_a_previews_own_field_breaks_anything(name: str) -> None:
    api = ApiClient()
    for value in VALUES:
        body = with_field({"schedule_type": "interval", "interval_seconds": 1}, name, value)
        survives(api, "POST", "/schedules/preview", body)


@pytest.mark.parametrize("body", [*VALUES, DEEP, b"\xff\xfe", b"\xef\xbb\xbf{}", b'{"a":1,"a":2}', b"{}x"])
def test_no_body_as_a_whole_breaks_an_action(body: bytes) -> None:
    api, waiting, failed = ApiClient(), make_run(), make_ended_run(status="failed")
    schedule = f"/schedules/{make_schedule().id}"
    paths = [
        "/targets",
        "/schedules",
        "/schedules/preview",
        *(f"{schedule}/{verb}" for verb in ("pause", "resume", "run")),
        f"/runs/{waiting.id}/cancel",
        *(f"/runs/{failed.id}/{verb}" for verb in ("replay", "resolve")),
    ]
    for path in paths:
        survives(api, "POST", path, body)
    survives(api, "PATCH", schedule, body)


QUERY_VALUES = [
    "",
    "%00",
    "%ff%fe",
    "%ed%a0%80",
    "a" * 3000,
    "-1",
    "0",
    "1e3",
    "9" * 30,
    "%D9%A3",
    "null",
    "true",
    str(uuid4()),
    "2026-03-10T12:00:00Z",
    "2026-03-10T12:00:00%2B05:30",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00%2B23:59",
    "9999-12-30T23:59:59Z",
    "active,active",
    "%25_%5C'\"",
    "😀",
]
QUERIES = {
    "/targets": ("search", "limit", "offset", "x%00", "%ff"),
    "/schedules": ("search", "status", "target_id", "limit", "offset"),
    "/runs": (
        "schedule_id",
        "target_id",
        "status",
        "trigger",
        "error_type",
        "start_time",
        "end_time",
        "dead",
        "limit",
        "cursor",
    ),
    "/schedules/{id}/preview": ("count", "from"),
    "/schedules/{id}/explain": ("at",),
}


@pytest.mark.parametrize("path", QUERIES)
def test_no_query_breaks_anything(path: str) -> None:
    api, run = ApiClient(), make_ended_run()
    for name in QUERIES[path]:
        for value in QUERY_VALUES:
            survives(api, "GET", f"{path.format(id=run.schedule_id)}?{name}={value}")
