"""A canary in every place for secrets is found nowhere but encrypted and at the target (guarantee D7)."""

from __future__ import annotations

import base64
import gzip
import json
import logging
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from runs.archive import Archive, rows_of
from runs.models import Attempt, Run
from runs.rescue import rescue_orphans
from runs.services import open_test_run
from scheduler_project.logs import LineFormatter
from schedules.clock import database_now
from targets.models import Target
from tests.api_client import ApiClient
from tests.factories import make_schedule
from tests.hostile_sockets import closed_port
from tests.http_target import RecordingTarget
from tests.staff import superuser
from worker.single_call import call_target_once

pytestmark = pytest.mark.django_db
CANARY = "canary7f3e9ab1c0d2"
SIGNING_KEY = CANARY.encode() * 2
SIGNING = "whsec_" + base64.b64encode(SIGNING_KEY).decode()
TYPES: dict[str, dict[str, str]] = {
    "secret header": {},
    "basic": {"type": "basic", "username": "me", "password": CANARY},
    "basic, key as user": {"type": "basic", "username": CANARY, "password": ""},
    "bearer": {"type": "bearer", "token": CANARY},
    "header key": {"type": "api_key", "name": "X-Partner", "value": CANARY, "in": "header"},
    "query key": {"type": "api_key", "name": "partner", "value": CANARY, "in": "query"},
    "oauth2": {"type": "oauth2_client_credentials", "token_url": "", "client_id": "me", "client_secret": CANARY},
    "named in auth": {"type": "bearer", "token": "{{secret.CANARY}}"},
}
LISTS = ("targets", "secrets", "schedules", "runs", "metrics", "metrics/prometheus")
PAGES = ("targets/target", "targets/secret", "schedules/schedule", "runs/run", "runs/attempt")


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that any logger says."""
    caplog.set_level(logging.DEBUG)
    for name in ("runs", "targets", "worker", "scheduler_project", "urllib3", "django"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


@pytest.fixture
def target() -> Iterator[RecordingTarget]:
    """Sends back whatever it is sent, and gives out the canary as an access token."""
    with RecordingTarget() as server:
        token = json.dumps({"access_token": f"{CANARY}token", "token_type": "Bearer"}).encode()
        head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(token)}\r\n\r\n"
        server.script("/token", head.encode() + token)
        yield server


def traces(text: str) -> list[str]:
    """Every spelling of the canary, or of what signs with it, that is in the text."""
    octets = CANARY.encode()
    spellings = [CANARY, octets.hex(), octets.hex().upper(), SIGNING, SIGNING.removeprefix("whsec_"), CANARY[:12]]
    for shift in range(3):
        whole = base64.b64encode(b"x" * shift + octets).decode().rstrip("=")
        spellings.append(whole[2 if shift else 0 : -2])
    return [spelling for spelling in spellings if spelling in text]


def planted(api: ApiClient, url: str, auth: dict[str, str], **fields: Any) -> UUID:
    """A target with the canary wherever secrets can be."""
    headers = {"X-Api-Key": CANARY, "X-Note": "is {{secret.CANARY}}", "Cookie": f"a={CANARY}"}
    body = {
        "name": "Planted",
        "url": url,
        "method": "POST",
        "headers": headers,
        "body_template": {"a": "{{secret.CANARY}}", "b": "{{secret.FILE}}"},
        "signing_secret": SIGNING,
        "timeout_seconds": 5,
        **({"auth": auth} if auth else {}),
        **fields,
    }
    answer = api.post("/targets", body)
    assert answer.status_code == 201, answer.content
    return UUID(answer.json()["id"])


@pytest.fixture
def api(settings: Settings, tmp_path: Path) -> ApiClient:
    """A client; the two named secrets, one of them in a file, are there already."""
    settings.EGRESS_ALLOW_CIDRS = [ip_network("127.0.0.0/8")]
    settings.SECRETS_DIR = tmp_path
    (tmp_path / "canary").write_text(CANARY)
    client = ApiClient()
    assert client.post("/secrets", {"name": "CANARY", "value": CANARY}).status_code == 201
    assert client.post("/secrets", {"name": "FILE", "reference": "file:canary"}).status_code == 201
    return client


def dump() -> str:
    """Every row of every table."""
    with connection.cursor() as cursor:
        rows = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            rows.append(f"{table}: {cursor.fetchall()!r}")
    return "\n".join(rows)


def answers(api: ApiClient) -> str:
    """Everything that the API tells."""
    lists = [api.get(f"/{path}") for path in LISTS]
    rows = [
        (path, row["id"]) for path, page in zip(LISTS[:4], lists[:4], strict=True) for row in page.json()["results"]
    ]
    ones = [api.get(f"/{path}/{row}") for path, row in rows]
    assert {answer.status_code for answer in (*lists, *ones)} == {200}
    return "\n".join(answer.content.decode() + repr(answer.headers) for answer in (*lists, *ones))


def pages(browser: Client) -> str:
    """Everything that the admin shows."""
    shown = [browser.get("/admin/")]
    keys: dict[str, Any] = {"targets/target": Target.objects, "runs/run": Run.objects, "runs/attempt": Attempt.objects}
    for path in PAGES:
        shown.append(browser.get(f"/admin/{path}/"))
        rows = keys[path].values_list("pk", flat=True) if path in keys else ()
        shown += [browser.get(f"/admin/{path}/{key}/change/") for key in rows]
    assert {page.status_code for page in shown} == {200}
    return "\n".join(page.content.decode() for page in shown)


def archived(folder: Path) -> str:
    """Every run as archives hold it."""
    with Archive(folder, now=database_now()) as archive:
        archive.append(rows_of(list(Run.objects.values_list("id", flat=True))))
    assert archive.path
    return gzip.decompress(archive.path.read_bytes()).decode()


def assert_found_nowhere(api: ApiClient, log: pytest.LogCaptureFixture, folder: Path) -> None:
    lines = "\n".join(LineFormatter().format(record) for record in log.records)
    everywhere = {
        "log": lines + log.text,
        "API": answers(api),
        "admin": pages(superuser()),
        "archive": archived(folder),
        "database": dump(),
    }
    assert {place: found for place, text in everywhere.items() if (found := traces(text))} == {}


@pytest.mark.parametrize("kind", TYPES)
def test_d7_it_arrives_at_the_target_and_is_found_nowhere_else(
    kind: str, api: ApiClient, target: RecordingTarget, log: pytest.LogCaptureFixture, tmp_path_factory: Any
) -> None:
    auth = {name: target.url("/token") if name == "token_url" else value for name, value in TYPES[kind].items()}
    make_schedule(Target.objects.get(pk=planted(api, target.url("/mirror?k={{secret.CANARY}}"), auth)))
    call_target_once(target_id=Target.objects.get().id)
    (call,) = target.calls("/mirror")
    assert (call.query["k"], call.headers["x-note"], call.headers["x-api-key"]) == (CANARY, f"is {CANARY}", CANARY)
    assert json.loads(call.body) == {"a": CANARY, "b": CANARY}
    assert "webhook-signature" in call.headers
    attempt = Attempt.objects.get()
    assert attempt.error_type == "none"
    assert attempt.response_body.count("********") > 5
    assert_found_nowhere(api, log, tmp_path_factory.mktemp("archive"))


FAILURES: dict[str, tuple[str, dict[str, Any], str]] = {
    "refused by the target": ("/mirror?status=401&k={{secret.CANARY}}", {}, "client_error"),
    "broken at the target": ("/mirror?status=500&k={{secret.CANARY}}", {}, "server_error"),
    "unexpected": ("/mirror?k={{secret.CANARY}}", {"response_must_contain": "nowhere"}, "unexpected_response"),
    "redirect": ("/mirror?status=302&to=http://127.0.0.1:1/&k={{secret.CANARY}}", {}, "redirect"),
    "timeout": ("/silent?k={{secret.CANARY}}", {"timeout_seconds": 0.2}, "timeout"),
    "hung up": ("/hang-up?k={{secret.CANARY}}", {}, "connection"),
    "no header": ("/mirror?k={{secret.LINES}}", {"headers": {"X-A": "{{secret.LINES}}"}}, "template"),
    "missing file": ("/mirror?k={{secret.MISSING}}", {}, "template"),
}


@pytest.mark.parametrize("kind", FAILURES)
@pytest.mark.parametrize("auth", ["query key", "bearer", "oauth2"])
def test_d7_it_is_found_nowhere_when_the_call_fails(
    kind: str, auth: str, api: ApiClient, target: RecordingTarget, log: pytest.LogCaptureFixture, tmp_path_factory: Any
) -> None:
    api.post("/secrets", {"name": "LINES", "value": f"{CANARY}\r\n{CANARY}"})
    api.post("/secrets", {"name": "MISSING", "reference": "file:missing"})
    path, fields, error_type = FAILURES[kind]
    credentials = {name: target.url("/token") if name == "token_url" else value for name, value in TYPES[auth].items()}
    run_id = call_target_once(target_id=planted(api, target.url(path), credentials, **fields))
    assert Run.objects.get(pk=run_id).final_error_type == error_type
    assert_found_nowhere(api, log, tmp_path_factory.mktemp("archive"))


@pytest.mark.parametrize("kind", ["bad TLS", "refused", "blocked"])
def test_d7_it_is_found_nowhere_when_the_target_is_not_reached(
    kind: str, api: ApiClient, target: RecordingTarget, settings: Settings, log: Any, tmp_path_factory: Any
) -> None:
    url = {
        "bad TLS": target.url("/?k={{secret.CANARY}}").replace("http:", "https:"),
        "refused": f"http://127.0.0.1:{closed_port()}/?k={{{{secret.CANARY}}}}",
        "blocked": target.url("/?k={{secret.CANARY}}"),
    }[kind]
    target_id = planted(api, url, TYPES["query key"])
    if kind == "blocked":
        settings.EGRESS_DENY_CIDRS = settings.EGRESS_ALLOW_CIDRS
    run_id = call_target_once(target_id=target_id)
    error_type = {"bad TLS": "ssl", "refused": "connection", "blocked": "blocked"}[kind]
    assert Run.objects.get(pk=run_id).final_error_type == error_type
    assert_found_nowhere(api, log, tmp_path_factory.mktemp("archive"))


def test_d7_it_is_found_nowhere_when_the_worker_is_lost(
    api: ApiClient, target: RecordingTarget, log: pytest.LogCaptureFixture, tmp_path_factory: Any
) -> None:
    target_id = planted(api, target.url("/mirror?k={{secret.CANARY}}"), TYPES["basic"])
    worker = uuid4()
    ticket = open_test_run(target_id=target_id, worker_id=worker, now=database_now())
    assert traces(repr(ticket)) == []
    rescue_orphans([worker], now=database_now())
    assert Run.objects.get().final_error_type == "worker_lost"
    assert_found_nowhere(api, log, tmp_path_factory.mktemp("archive"))


def test_d7_the_search_finds_a_canary() -> None:
    for text in (CANARY, base64.b64encode(f"me:{CANARY}".encode()).decode(), CANARY.encode().hex(), SIGNING):
        assert traces(f"<{text}>")
