"""One UPDATE for many rows."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from django.db import DataError, IntegrityError

from runs.batch_update import existing_ids, update_rows, write_or_isolate
from runs.models import Attempt, Run
from tests.factories import NOW, make_attempt, make_ended_run, make_run, make_schedule

pytestmark = pytest.mark.django_db


def test_each_row_gets_its_own_values() -> None:
    schedule = make_schedule()
    one, two = make_run(schedule), make_run(schedule)
    rows = [(one.id, "first", 1), (two.id, "second", 2)]
    assert update_rows(Run, match=("id",), write=("reason", "attempt_count"), rows=rows) == {one.id, two.id}
    assert list(Run.objects.order_by("reason").values_list("reason", "attempt_count")) == [("first", 1), ("second", 2)]


def test_a_row_that_no_longer_matches_is_left_alone_and_not_reported() -> None:
    run = make_run(token=7)
    rows = [(run.id, 6, "late")]
    assert update_rows(Run, match=("id", "token"), write=("reason",), rows=rows) == set()
    run.refresh_from_db()
    assert run.reason == ""


def test_the_condition_narrows_the_write() -> None:
    attempt = make_attempt(make_ended_run())
    rows = [(attempt.id, "late")]
    written = update_rows(
        Attempt, match=("id",), write=("error_message",), rows=rows, condition="t.completed_at IS NULL"
    )
    assert written == set()


def test_every_kind_of_column_survives_the_round_trip() -> None:
    attempt = make_attempt(make_ended_run())
    names = ("response_headers", "completed_at", "latency_ms", "fenced", "remote_ip", "response_size_bytes", "token")
    values = ({"A": "ü"}, NOW, 1.5, True, "2001:db8::1", 2**40, 2**50)
    update_rows(Attempt, match=("id",), write=names, rows=[(attempt.id, *values)])
    attempt.refresh_from_db()
    assert tuple(getattr(attempt, name) for name in names) == values


def test_nulls_in_the_first_row_do_not_hide_the_type_of_the_column() -> None:
    run = make_ended_run()
    other = make_ended_run(run.schedule)
    rows = [(run.id, None), (other.id, NOW)]
    update_rows(Run, match=("id",), write=("started_at",), rows=rows)
    assert Run.objects.get(id=run.id).started_at is None
    assert Run.objects.get(id=other.id).started_at == NOW


def test_it_tells_which_ids_are_there() -> None:
    here, there = make_run(), make_run()
    there.delete()
    assert existing_ids(Run, [here.id, there.id]) == {here.id}
    assert existing_ids(Run, []) == set()


def test_no_rows_need_no_query(django_assert_num_queries: object) -> None:
    with django_assert_num_queries(0):  # type: ignore[operator]
        assert update_rows(Run, match=("id",), write=("reason",), rows=[]) == set()


def test_one_refused_item_does_not_stop_the_others() -> None:
    written: list[int] = []

    def write(items: Sequence[int]) -> None:
        if 2 in items:
            raise DataError("refused")
        written.extend(items)

    ((item, error),) = write_or_isolate([1, 2, 3], write)
    assert (written, item, type(error)) == ([1, 3], 2, DataError)


def test_what_the_batch_wrote_before_it_was_refused_is_undone() -> None:
    schedule = make_schedule()

    def write(items: Sequence[str]) -> None:
        for item in items:
            if item == "bad":
                raise IntegrityError("refused")
            make_run(schedule, reason=item)

    write_or_isolate(["good", "bad"], write)
    assert list(Run.objects.values_list("reason", flat=True)) == ["good"]
