"""A canary in every place for secrets is found nowhere but encrypted and at the target (guarantee D7)."""

from __future__ import annotations

import base64
import gzip
import json
import logging
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from io import StringIO
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.request import urlopen
from uuid import UUID, uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from pytest_django import Settings

from runs.models import Attempt, Run
from runs.rescue import rescue_orphans
from runs.services import open_test_run
from scheduler_project.logs import LineFormatter
from schedules.clock import database_now
from targets.egress_settings import egress_policy
from targets.models import Secret, Target
from tests.api_client import ApiClient
from tests.factories import make_schedule
from tests.hostile_sockets import closed_port
from tests.html_forms import form_data
from tests.http_target import RecordingTarget
from tests.signed_in import make_user
from tests.staff import superuser
from tests.worker.workers import make_config
from worker.config import RunMode
from worker.executor import Executor
from worker.loop import Worker
from worker.management.commands.runscheduler import chores
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
LISTS = ("targets", "secrets", "schedules", "runs", "api-keys", "audit", "metrics", "metrics/prometheus", "health")
WITH_ROWS = LISTS[:5]
# Of these the pages of many rows are looked at: each auth has fields of its own, each failure its sentence.
MOST_SHOWN: dict[type[Any], int] = {Target: len(TYPES), Secret: 4, Run: 100, Attempt: 100}
Texts = dict[str, str]


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
        "name": f"Planted in {auth.get('type')}",
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


def dump() -> Texts:
    """Every row of every table."""
    with connection.cursor() as cursor:
        rows = {}
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            rows[f"table {table}"] = repr(cursor.fetchall())
    return rows


def answers(api: ApiClient) -> Texts:
    """Everything that the API tells."""
    lists = {path: api.get(f"/{path}") for path in LISTS}
    ones = {f"{path}/{row['id']}" for path in WITH_ROWS for row in lists[path].json()["results"]}
    told = lists | {path: api.get(f"/{path}") for path in ones}
    assert {answer.status_code for answer in told.values()} == {200}
    return {f"API {path}": answer.content.decode() + repr(answer.headers) for path, answer in told.items()}


def pages(browser: Client, log: pytest.LogCaptureFixture) -> Texts:
    """Everything that the admin shows: the list and every page of one row of each kind, and then of the rows that
    differ by what was tried the page.
    """
    first, others = ["/admin/"], []
    for model in admin.site._registry:
        folder = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        keys = list(model._default_manager.values_list("pk", flat=True))
        first += [folder, *(f"{folder}{keys[0]}/{page}/" for page in ("change", "history", "delete") if keys)]
        others += [f"{folder}{key}/change/" for key in keys[1 : MOST_SHOWN.get(model, 1)]]
    shown = {address: browser.get(address) for address in first}
    # At DEBUG templates put the whole context into the log for each variable that is not there: that was looked at now.
    with log.at_level(logging.INFO, logger="django.template"):
        shown |= {address: browser.get(address) for address in others}
    assert {page.status_code for page in shown.values()} <= {200, 403}
    return {address: page.content.decode() for address, page in shown.items()}


def printed(command: str, *args: str) -> str:
    """What a command says, on both of its outputs."""
    out = StringIO()
    call_command(command, *args, stdout=out, stderr=out)
    return out.getvalue()


def exports(folder: Path) -> Texts:
    """The audit trail in each format, and every run as archives and those who read them have it."""
    said = {f"export_audit {way}": printed("export_audit", *way.split()) for way in ("", "--json", "--format csv")}
    said["archive_runs"] = printed("archive_runs", "--to", str(folder))
    return said | _archived(folder)


def pruned(folder: Path, settings: Settings) -> Texts:
    """The same as the runs go: it is the last place to search."""
    settings.RETENTION_SUCCESS_DAYS = settings.RETENTION_FAILED_DAYS = settings.RETENTION_BODY_DAYS = timedelta(0)
    settings.RETENTION_KEEP_LAST = 0
    said = {"prune_runs": printed("prune_runs", "--archive", str(folder))}
    assert not Run.objects.exists()
    return said | _archived(folder)


def _archived(folder: Path) -> Texts:
    (file,) = folder.iterdir()
    read = {way: printed("archive_runs", "--read", str(file), *way.split()) for way in ("", "--json")}
    return {f"archive {file.name}": gzip.decompress(file.read_bytes()).decode(), **read}


def assert_found_nowhere(api: ApiClient, log: pytest.LogCaptureFixture, settings: Settings, tmp_path: Path) -> None:
    """Search every place there is; the runs are gone afterwards."""
    browser = Client()
    browser.force_login(User.objects.filter(is_superuser=True).first() or make_user(username="root", is_superuser=True))
    folders = [tmp_path / name for name in ("archived", "pruned")]
    for folder in folders:
        folder.mkdir()
    everywhere = answers(api) | pages(browser, log) | dump() | exports(folders[0]) | pruned(folders[1], settings)
    everywhere["log"] = log.text + "\n".join(LineFormatter().format(record) for record in log.records)
    assert {place: found for place, text in everywhere.items() if (found := traces(text))} == {}


def with_tokens_from(target: RecordingTarget, auth: dict[str, str]) -> dict[str, str]:
    return {name: target.url("/token") if name == "token_url" else value for name, value in auth.items()}


def test_d7_it_arrives_at_the_target_and_is_found_nowhere_else(
    api: ApiClient, target: RecordingTarget, log: pytest.LogCaptureFixture, settings: Settings, tmp_path_factory: Any
) -> None:
    for number, auth in enumerate(TYPES.values()):
        path = f"/mirror?number={number}&k={{{{secret.CANARY}}}}"
        target_id = planted(api, target.url(path), with_tokens_from(target, auth))
        make_schedule(Target.objects.get(pk=target_id))
        run_id = call_target_once(target_id=target_id)
        call = target.calls("/mirror")[-1]
        assert call.query["number"] == str(number)
        assert (call.query["k"], call.headers["x-note"], call.headers["x-api-key"]) == (CANARY, f"is {CANARY}", CANARY)
        assert json.loads(call.body) == {"a": CANARY, "b": CANARY}
        assert "webhook-signature" in call.headers
        attempt = Attempt.objects.get(run_id=run_id)
        assert attempt.error_type == "none"
        assert attempt.response_body.count("********") > 5
    assert_found_nowhere(api, log, settings, tmp_path_factory.mktemp("exports"))


# Changes that are refused, with the canary in the value that is wrong or beside it.
REFUSED: tuple[dict[str, Any], ...] = (
    {"headers": {"X-Api-Key": f"{CANARY}\n"}},
    {"headers": {"X-Api-Key": f"{CANARY}\u00e9"}},
    {"headers": {"X-Api-Key": CANARY, "x-api-key": CANARY}},
    {"headers": {"X-Api-Key": CANARY * 1000}},
    {"auth": {"type": "bearer", "token": f"{CANARY}\u00e9"}},
    {"auth": {"type": "basic", "username": f"{CANARY}:", "password": CANARY}},
    {"auth": {"type": "bearer", "password": CANARY}},
    {"auth": {"type": "api_key", "name": "bad name", "value": CANARY, "in": "header"}},
    {"auth": {"type": "nothing", "token": CANARY}},
    {"auth": CANARY},
    {"signing_secret": CANARY},
    {"signing_secret": f"{SIGNING}!"},
    {"headers": {"X-Api-Key": [CANARY]}},
)


def test_d7_it_is_found_nowhere_when_it_is_changed_and_when_changes_are_refused(
    api: ApiClient, target: RecordingTarget, log: pytest.LogCaptureFixture, settings: Settings, tmp_path_factory: Any
) -> None:
    target_id = planted(api, target.url("/mirror"), TYPES["basic"])
    secret = api.get("/secrets").json()["results"][0]["id"]
    answered = [
        api.patch(f"/targets/{target_id}", {"headers": {"X-Api-Key": f"{CANARY}2"}, "auth": TYPES["bearer"]}),
        api.patch(f"/secrets/{secret}", {"value": f"{CANARY}2"}),
        *(api.patch(f"/targets/{target_id}", fields) for fields in REFUSED),
        api.patch(f"/secrets/{secret}", {"value": CANARY, "reference": "file:canary"}),
        api.delete(f"/secrets/{secret}"),
    ]
    assert [answer.status_code for answer in answered] == [200, 200, *[422] * (len(REFUSED) + 1), 409]
    browser = superuser()
    address = f"/admin/targets/target/{target_id}/change/"
    shown = form_data(browser.get(address).content.decode(), "target_form")
    browser.post(address, {**shown, "auth_token": f"{CANARY}3", "signing_secret": SIGNING})
    call_target_once(target_id=target_id)
    assert target.calls("/mirror")[0].headers["authorization"] == f"Bearer {CANARY}3"
    assert traces("".join(answer.content.decode() for answer in answered)) == []
    assert_found_nowhere(api, log, settings, tmp_path_factory.mktemp("exports"))


@pytest.mark.django_db(transaction=True)
def test_d7_it_is_found_nowhere_when_a_worker_makes_the_call(
    api: ApiClient, target: RecordingTarget, log: pytest.LogCaptureFixture, settings: Settings, tmp_path_factory: Any
) -> None:
    target_id = planted(api, target.url("/mirror?k={{secret.CANARY}}"), with_tokens_from(target, TYPES["oauth2"]))
    schedule = make_schedule(Target.objects.get(pk=target_id), status="paused", next_run_at=None)
    assert api.post(f"/schedules/{schedule.pk}/run").status_code == 202
    with closing(Executor(egress_policy(), threads=2)) as executor:
        worker = Worker(make_config(mode=RunMode.DRAIN), executor=executor, chores=chores())
        server = worker.metrics.serve(0)
        assert worker.run() == 0
    with server:
        metrics = urlopen(f"http://127.0.0.1:{server.server_port}/metrics").read().decode()
        server.shutdown()
    assert target.calls("/mirror")[0].query["k"] == CANARY
    assert "api_scheduler_worker_attempts_recorded_total 1.0" in metrics
    assert traces(metrics) == []
    assert_found_nowhere(api, log, settings, tmp_path_factory.mktemp("exports"))


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


UNREACHED = {"bad TLS": "ssl", "refused": "connection", "blocked": "blocked"}


@pytest.mark.any_database
def test_d7_it_is_found_nowhere_when_calls_fail(
    api: ApiClient, target: RecordingTarget, log: pytest.LogCaptureFixture, settings: Settings, tmp_path_factory: Any
) -> None:
    api.post("/secrets", {"name": "LINES", "value": f"{CANARY}\r\n{CANARY}"})
    api.post("/secrets", {"name": "MISSING", "reference": "file:missing"})
    expected = {}
    for auth in ("query key", "bearer", "oauth2"):
        for path, fields, error_type in FAILURES.values():
            target_id = planted(api, target.url(path), with_tokens_from(target, TYPES[auth]), **fields)
            expected[call_target_once(target_id=target_id)] = error_type
    urls = {
        "bad TLS": target.url("/?k={{secret.CANARY}}").replace("http:", "https:"),
        "refused": f"http://127.0.0.1:{closed_port()}/?k={{{{secret.CANARY}}}}",
        "blocked": target.url("/?k={{secret.CANARY}}"),
    }
    for kind, url in urls.items():
        target_id = planted(api, url, TYPES["query key"])
        if kind == "blocked":
            settings.EGRESS_DENY_CIDRS = settings.EGRESS_ALLOW_CIDRS
        expected[call_target_once(target_id=target_id)] = UNREACHED[kind]
    lost = uuid4()
    ticket = open_test_run(target_id=target_id, worker_id=lost, now=database_now())
    assert traces(repr(ticket)) == []
    rescue_orphans([lost], now=database_now())
    expected[ticket.run_id] = "worker_lost"
    assert dict(Run.objects.values_list("pk", "final_error_type")) == expected
    assert_found_nowhere(api, log, settings, tmp_path_factory.mktemp("exports"))


def test_d7_the_search_finds_a_canary() -> None:
    for text in (CANARY, base64.b64encode(f"me:{CANARY}".encode()).decode(), CANARY.encode().hex(), SIGNING):
        assert traces(f"<{text}>")
