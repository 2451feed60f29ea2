"""The audit trail itself: what an event holds, that it stays, and how much strangers can add (D11)."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import Error, connection, transaction
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from access.audit import KEPT_AT_LEAST, REFUSALS_PER_MINUTE, Actor, Thing, acting, forget_old, record, record_refusal
from access.keys import create_key, revoke_key
from access.models import AppendOnly, AuditEvent
from tests.api_client import ApiClient
from tests.factories import NOW
from tests.signed_in import client_with, key_client
from tests.staff import staff

pytestmark = pytest.mark.django_db
MIGRATION: Any = importlib.import_module("access.migrations.0004_audit_is_append_only")
ADA = Actor("user", "7", "ada", address="192.0.2.7")


def some_event(**values: Any) -> AuditEvent:
    record("target.create", Thing("target", "1", "Orders"), **{"now": NOW, "actor": ADA, **values})
    return AuditEvent.objects.latest("id")


@pytest.fixture
def triggers() -> None:
    """On SQLite tests run without the one against deletion; it goes with this test's transaction."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(MIGRATION.SQLITE[1])


def test_who_acts_comes_from_the_context() -> None:
    with acting(lambda: ADA):
        record("target.update", Thing("target", "1", "Orders"), now=NOW, changes={"name": ["a", "b"]})
    event = AuditEvent.objects.get()
    assert (event.at, event.actor_type, event.actor_id, event.actor) == (NOW, "user", "7", "ada")
    assert (event.address, event.action, event.object_type) == ("192.0.2.7", "target.update", "target")
    assert (event.object_id, event.object_name, event.changes) == ("1", "Orders", {"name": ["a", "b"]})


def test_outside_of_requests_and_commands_it_is_the_system() -> None:
    record("run.prune", now=NOW)
    assert AuditEvent.objects.get().actor_type == "system"


def test_texts_that_are_too_long_are_cut() -> None:
    record(
        "a" * 100, Thing("t" * 99, "i" * 99, "n" * 999), now=NOW, detail="d" * 999, actor=Actor("user", name="x" * 999)
    )
    event = AuditEvent.objects.get()
    assert (len(event.object_name), len(event.detail), len(event.actor)) == (255, 500, 255)


def test_an_event_goes_with_the_transaction_that_it_tells_of() -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        some_event()
        raise RuntimeError
    assert not AuditEvent.objects.exists()


def test_python_changes_and_deletes_nothing() -> None:
    event = some_event()
    event.detail = "never happened"
    attempts: list[Callable[[], object]] = [
        event.save,
        event.delete,
        AuditEvent.objects.all().delete,
        lambda: AuditEvent.objects.update(detail="x"),
        lambda: AuditEvent.objects.bulk_update([event], ["detail"]),
    ]
    for attempt in attempts:
        with pytest.raises(AppendOnly):
            attempt()
    assert AuditEvent.objects.get().detail == ""


@pytest.mark.parametrize("statement", ["UPDATE access_auditevent SET actor = 'bob'", "DELETE FROM access_auditevent"])
def test_sql_changes_and_deletes_nothing(triggers: None, statement: str) -> None:
    some_event(now=timezone.now())
    with (
        pytest.raises(Error, match="audit events are written once"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert AuditEvent.objects.get().actor == "ada"


def test_what_is_older_than_its_retention_is_forgotten_in_batches(triggers: None) -> None:
    now = timezone.now()
    for days in (100, 101, 102, 5):
        some_event(now=now - timedelta(days=days))
    assert forget_old(now=now, keep=timedelta(days=60), limit=2) == 2
    assert forget_old(now=now, keep=timedelta(days=60)) == 1
    assert AuditEvent.objects.get().at == now - timedelta(days=5)
    assert forget_old(now=now, keep=None) == 0


def test_nothing_younger_than_a_month_is_forgotten_whatever_is_asked(triggers: None) -> None:
    now = timezone.now()
    some_event(now=now - KEPT_AT_LEAST + timedelta(hours=1))
    assert forget_old(now=now, keep=timedelta(days=1)) == 0


def test_deletion_is_refused_by_the_database_for_a_month_only(triggers: None) -> None:
    some_event(now=timezone.now() - KEPT_AT_LEAST - timedelta(hours=1))
    assert QuerySet(AuditEvent).delete()[0] == 1


def test_refusals_of_one_kind_are_written_once_a_minute() -> None:
    written = [record_refusal("login.failed", now=NOW + timedelta(seconds=at), actor=ADA) for at in (0, 1, 59, 60, 61)]
    assert written == [True, False, False, True, False]


def test_refusals_of_all_kinds_are_bounded() -> None:
    for number in range(REFUSALS_PER_MINUTE + 5):
        record_refusal("key.refused", now=NOW, actor=Actor("anonymous", address=f"192.0.2.{number}"))
    assert AuditEvent.objects.count() == REFUSALS_PER_MINUTE


def refusals() -> list[tuple[str, str, str]]:
    events = AuditEvent.objects.filter(refused=True).order_by("id")
    return list(events.values_list("action", "actor_type", "actor"))


def test_a_missing_scope_is_put_on_record() -> None:
    client = key_client("read")
    client.delete("/api/v1/targets/00000000-0000-0000-0000-000000000000", REMOTE_ADDR="192.0.2.9")
    event = AuditEvent.objects.get(refused=True)
    assert (event.action, event.actor, event.address) == ("access.denied", "test", "192.0.2.9")
    assert event.detail == "DELETE /api/v1/targets/00000000-0000-0000-0000-000000000000"
    assert event.key.startswith("aps_")


def test_a_page_that_a_user_may_not_see_is_put_on_record() -> None:
    assert staff().get("/admin/access/apikey/").status_code == 403
    assert refusals() == [("access.denied", "user", "ada")]


def test_a_key_that_is_refused_is_put_on_record_with_its_name() -> None:
    key, text = create_key(name="lost", scopes=["read"], expires_at=None, now=timezone.now())
    revoke_key(key_id=key.pk, now=timezone.now())
    client_with(text).get("/api/v1/targets")
    _, elsewhere = create_key(name="office", scopes=["read"], expires_at=None, now=timezone.now(), cidrs=["10.0.0.0/8"])
    client_with(elsewhere).get("/api/v1/targets")
    client_with("aps_nope").get("/api/v1/targets")
    assert refusals() == [
        ("key.refused", "key", "lost"),
        ("key.refused", "key", "office"),
        ("key.refused", "anonymous", ""),
    ]
    assert not AuditEvent.objects.filter(detail__contains=text[12:]).exists()


def test_visitors_without_a_key_fill_nothing() -> None:
    for path in ("/api/v1/targets", "/admin/", "/nothing", "/docs"):
        Client().get(path)
    assert not AuditEvent.objects.exists()


def test_a_refusal_stands_when_it_cannot_be_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise Error("gone")

    client = key_client("read")
    monkeypatch.setattr("access.middleware.record_refusal", broken)
    assert client.post("/api/v1/targets", {}).status_code == 403


def test_the_api_shows_it_newest_first_and_page_by_page() -> None:
    for second in range(5):
        some_event(now=NOW + timedelta(seconds=second), detail=str(second))
    client = ApiClient("admin")
    first = client.get("/audit", limit="2").json()
    assert [event["detail"] for event in first["results"]] == ["4", "3"]
    second = client.send("GET", first["next"]).json()
    assert [event["detail"] for event in second["results"]] == ["2", "1"]
    assert first["results"][0]["actor"] == "ada"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"actor": "7"}, {"ada"}),
        ({"actor": "ada"}, {"ada"}),
        ({"actor": "bob"}, {"bob"}),
        ({"action": "target.create"}, {"ada"}),
        ({"action": "schedule"}, {"bob"}),
        ({"action": "sched"}, set()),
        ({"object_type": "target"}, {"ada"}),
        ({"object_id": "2"}, {"bob"}),
        ({"start_time": "2026-03-10T12:00:01Z"}, {"bob"}),
        ({"end_time": "2026-03-10T12:00:01Z"}, {"ada"}),
        ({"actor": "ada", "object_id": "2"}, set()),
    ],
)
def test_the_api_filters(query: dict[str, str], expected: set[str]) -> None:
    some_event()
    bob = Actor("user", "8", "bob")
    record("schedule.pause", Thing("schedule", "2", "x"), now=NOW + timedelta(seconds=1), actor=bob)
    found = ApiClient("admin").get("/audit", **query).json()["results"]
    assert {event["actor"] for event in found} == expected


@pytest.mark.parametrize("query", [{"actr": "x"}, {"start_time": "yesterday"}, {"cursor": "x"}, {"limit": "0"}])
def test_a_wrong_filter_is_a_422(query: dict[str, str]) -> None:
    assert ApiClient("admin").get("/audit", **query).status_code == 422


def test_only_the_scope_admin_reads_it_and_nobody_writes_it() -> None:
    assert ApiClient("read", "write", "run").get("/audit").status_code == 403
    assert ApiClient("admin").post("/audit", {}).status_code == 405


def test_events_name_the_request(settings: Settings) -> None:
    ApiClient("admin").post("/targets", {"name": "x", "url": "https://example.com/"}, X_Request_ID="mine")
    assert AuditEvent.objects.get(action="target.create").request_id == "mine"
