"""Values on their way into the database in batches: odd ones arrive as they are, or are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import DataError, connection

from runs.batch_update import insert_rows, update_rows
from runs.identity import new_run_id
from runs.models import Attempt, Run
from runs.row_source import columns_of, execute_with_rows
from targets.models import Target
from tests.factories import NOW, make_attempt, make_ended_run, make_run, make_schedule

pytestmark = pytest.mark.django_db

ODD_TEXTS = [
    "",
    "NULL",
    "null",
    "{}",
    '{"a","b"}',
    "\\",
    "\\N",
    '"',
    "'; DROP TABLE runs_run; --",
    "%s %% %b {rows}",
    "\t\r\n\x01\x7f",
    "é \u00a0 日本 😀",
    "x" * 102_400,
]


def set_one(attempt: Attempt, name: str, value: object) -> Any:
    update_rows(Attempt, match=("id",), write=(name,), rows=[(attempt.id, value)])
    attempt.refresh_from_db()
    return getattr(attempt, name)


@pytest.fixture
def attempt() -> Attempt:
    return make_attempt(make_ended_run())


def test_text_arrives_as_it_is() -> None:
    schedule = make_schedule()
    attempts = [make_attempt(make_ended_run(schedule)) for _ in ODD_TEXTS]
    rows = [(attempt.id, text) for attempt, text in zip(attempts, ODD_TEXTS, strict=True)]
    update_rows(Attempt, match=("id",), write=("response_body",), rows=rows)
    found = dict(Attempt.objects.values_list("id", "response_body"))
    assert [found[attempt.id] for attempt in attempts] == ODD_TEXTS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("request_body", None),
        ("status_code", None),
        ("completed_at", None),
        ("remote_ip", None),
        ("latency_ms", None),
        ("latency_ms", 20),
        ("latency_ms", 1e-300),
        ("latency_ms", 0.1 + 0.2),
        ("token", 0),
        ("token", 2**63 - 1),
        ("response_size_bytes", 2**31),
        ("fenced", True),
        ("remote_ip", "::ffff:10.0.0.1"),
        ("remote_ip", "127.0.0.1"),
        ("completed_at", datetime(1, 1, 1, 0, 0, 1, tzinfo=UTC)),
        ("completed_at", datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("completed_at", datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC)),
        ("completed_at", NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))),
        ("timings", {}),
        ("timings", {"a": [None, True, -1.5, "\\u0041", 'q"\\', "\u2028😀"]}),
        ("response_headers", {"X": "a\\nb", "": ""}),
    ],
)
def test_a_value_comes_back_equal(attempt: Attempt, name: str, value: object) -> None:
    assert set_one(attempt, name, value) == value


def test_mixed_rows_keep_their_nulls_and_numbers_apart() -> None:
    schedule = make_schedule()
    values = [(1, 2.5, None, "a"), (None, 3, NOW, None), (2**31, None, None, "c")]
    attempts = [make_attempt(make_ended_run(schedule)) for _ in values]
    names = ("response_size_bytes", "latency_ms", "bodies_cleared_at", "request_body")
    rows = [(attempt.id, *row) for attempt, row in zip(attempts, values, strict=True)]
    update_rows(Attempt, match=("id",), write=names, rows=rows)
    for attempt, row in zip(attempts, values, strict=True):
        attempt.refresh_from_db()
        assert tuple(getattr(attempt, name) for name in names) == row


@pytest.mark.postgres_only
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("response_body", "a\x00b"),
        ("timings", {"a": "\x00"}),
        ("timings", {"a": "\ud800"}),
        ("timings", {"a": float("nan")}),
        ("error_type", "x" * 21),
        ("token", 2**63),
        ("status_code", 2**15),
        ("remote_ip", "nowhere"),
    ],
)
def test_the_database_refuses_what_it_cannot_hold(attempt: Attempt, name: str, value: object) -> None:
    with pytest.raises(DataError):
        set_one(attempt, name, value)


def test_a_lone_surrogate_is_refused_before_it_travels(attempt: Attempt) -> None:
    with pytest.raises(UnicodeEncodeError):
        set_one(attempt, "response_body", "\ud800")


def test_inserted_rows_are_what_the_instances_said() -> None:
    schedule = make_schedule()
    runs = [make_run(schedule), make_ended_run(schedule, final_error_message="ü" * 1000, replay_of=new_run_id(NOW))]
    attempts = [make_attempt(run, response_headers={"A": "b"}, remote_ip="2001:db8::1") for run in runs]
    expected = [list(Run.objects.order_by("id").values()), list(Attempt.objects.order_by("id").values())]
    Attempt.objects.all().delete()
    Run.objects.all().delete()
    for model, instances in ((Run, runs), (Attempt, attempts)):
        names = [field.attname for field in model._meta.concrete_fields]
        insert_rows(model, names, [[getattr(instance, name) for name in names] for instance in instances])
    assert [list(Run.objects.order_by("id").values()), list(Attempt.objects.order_by("id").values())] == expected


def test_nothing_is_inserted_where_there_is_nothing() -> None:
    insert_rows(Run, ["id"], [])
    assert not Run.objects.exists()


def test_a_column_that_stores_its_values_in_its_own_way_is_refused() -> None:
    # Written as it is, an encrypted column would hold the secret itself.
    with pytest.raises(TypeError, match="row_source"):
        execute_with_rows("SELECT * FROM {rows} AS v", columns_of(Target, ["headers"]), [({"A": "b"},)])


def test_what_all_rows_share_arrives_in_each_of_them() -> None:
    schedule = make_schedule()
    attempts = [make_attempt(make_ended_run(schedule)) for _ in range(3)]
    values = {
        "token": 2**40,
        "status_code": None,
        "fenced": True,
        "error_message": "%s",
        "timings": {"a": "b"},
        "completed_at": NOW,
        "remote_ip": "2001:db8::1",
        "request_body": None,
        "request_url": "\\x",
    }
    names, shared = tuple(values), tuple(values.values())
    update_rows(Attempt, match=("id",), write=names, rows=[(attempt.id, *shared) for attempt in attempts])
    assert list(Attempt.objects.values_list(*names)) == [shared] * 3


@pytest.mark.parametrize("value", [None, "", "x" * 102_400])
def test_a_batch_may_repeat_its_key(value: str | None) -> None:
    run = make_run()
    update_rows(Run, match=("id",), write=("replay_of", "reason"), rows=[(run.id, None, "same")] * 2)
    run.refresh_from_db()
    assert run.reason == "same"
    rows = execute_with_rows(
        "SELECT column2 FROM {rows} AS v", columns_of(Attempt, ["id", "request_body"]), [(run.id, value)] * 2
    )
    assert rows == [(value,)] * 2


def test_zeros_keep_their_signs() -> None:
    rows = execute_with_rows(
        "SELECT column2 FROM {rows} AS v",
        columns_of(Attempt, ["id", "latency_ms"]),
        [(new_run_id(NOW), -0.0), (new_run_id(NOW), 0.0)],
    )
    assert [str(value) for (value,) in rows] == ["-0.0", "0.0"]


@pytest.mark.postgres_only
def test_the_text_of_the_statement_does_not_grow_with_the_rows() -> None:
    sent: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        sent.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        for count in (1, 50):
            execute_with_rows("SELECT * FROM {rows} AS v", columns_of(Run, ["id"]), [(new_run_id(NOW),)] * count)
    assert sent[0] == sent[1]
