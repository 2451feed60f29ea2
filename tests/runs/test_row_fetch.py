"""Rows as tuples: the same values that the ORM's own query for values gives, locked or not."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import Mock
from uuid import uuid4

import pytest
from django.db import transaction
from django.db.models import Q

from runs import row_fetch
from runs.enqueue import DueSchedule
from runs.locked_run import RUN_COLUMNS, LockedRun, lock_running_runs
from runs.models import Run
from runs.row_fetch import RepeatedQuery
from schedules.models import Schedule
from targets.models import Target
from tests.factories import NOW, make_run, make_schedule

pytestmark = pytest.mark.django_db


def test_each_value_stands_under_its_name() -> None:
    make_schedule(next_run_at=NOW, max_runs=7, expires_at=NOW + timedelta(days=1), run_count=3)
    with transaction.atomic():
        rows = RepeatedQuery(Schedule.with_deleted.lock_due, DueSchedule._fields).fetch(NOW, 10)
    assert rows == list(Schedule.objects.values_list(*DueSchedule._fields))


def test_the_columns_of_what_is_referenced_stand_among_them() -> None:
    run = make_run(token=5, attempt_count=2, started_at=NOW, reason="why")
    make_run(make_schedule(target=run.target, max_retries=1, retry_delay_seconds=2.5))
    with transaction.atomic():
        found = lock_running_runs(list(Run.objects.values_list("id", flat=True)))
    expected = Run.objects.order_by("id").values_list(*RUN_COLUMNS)
    assert list(found) == [LockedRun._make(row) for row in expected]
    # Positions in the query are not those of the names.
    names = ("target__name", "token", "schedule__name", "id")
    rows = RepeatedQuery(lambda ids: Run.objects.filter(id__in=ids), names).fetch([run.id])
    assert rows == [(run.target.name, 5, "Sync orders", run.id)]


def test_without_a_schedule_its_columns_are_null() -> None:
    run = make_run(trigger="test")
    Run.objects.update(schedule=None)
    with transaction.atomic():
        (found,) = lock_running_runs([run.id])
    assert (found.schedule_id, found.retry_terms, found.is_deleted) == (None, None, False)


@pytest.mark.parametrize("owner", ["target", "schedule"])
def test_a_locked_run_and_an_instance_agree_on_what_is_deleted_and_on_retries(owner: str) -> None:
    run = make_run()
    model = Target if owner == "target" else Schedule
    model.with_deleted.filter(id=getattr(run, f"{owner}_id")).update(deleted_at=NOW)
    with transaction.atomic():
        (found,) = lock_running_runs([run.id])
    instance = Run.with_deleted.select_related("schedule", "target").get()
    assert found.is_deleted is instance.is_deleted is True
    assert found.retry_terms == instance.retry_terms == (3, 1.0, 3600.0)


def statuses() -> RepeatedQuery:
    """The Runs that were scheduled before a moment, and those of some ids."""
    return RepeatedQuery(
        lambda now, ids, limit: Run.with_deleted.filter(Q(scheduled_at__lt=now) | Q(id__in=ids)).order_by("id")[:limit],
        ("id", "status"),
    )


def test_a_repeated_query_finds_what_belongs_to_the_values_of_each_time() -> None:
    old, new = make_run(scheduled_at=NOW - timedelta(days=2)), make_run(scheduled_at=NOW)
    query = statuses()
    for _ in range(2):
        assert query.fetch(NOW - timedelta(days=1), [old.id], 10) == [(old.id, "pending")]
        assert query.fetch(NOW - timedelta(days=3), [new.id], 10) == [(new.id, "pending")]
        assert query.fetch(NOW - timedelta(days=3), [new.id, old.id], 10) == [(old.id, "pending"), (new.id, "pending")]
        assert query.fetch(NOW - timedelta(days=3), [new.id, old.id], 1) == [(old.id, "pending")]


@pytest.mark.postgres_only
def test_a_repeated_query_is_worded_once_for_each_shape_of_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    word = Mock(wraps=row_fetch._word)
    monkeypatch.setattr(row_fetch, "_word", word)
    query = statuses()
    for day in range(5):
        query.fetch(NOW + timedelta(days=day), [uuid4()], 10)
    assert word.call_count == 1
    query.fetch(NOW, [uuid4(), uuid4()], 10)
    query.fetch(NOW, [uuid4()], 11)
    assert word.call_count == 3


@pytest.mark.postgres_only
def test_a_value_that_is_no_parameter_is_refused_rather_than_kept_for_ever() -> None:
    query = RepeatedQuery(lambda now: Run.with_deleted.filter(scheduled_at__year=now.year), ("id", "status"))
    with pytest.raises(TypeError, match="1 values are not among the parameters"):
        query.fetch(NOW)
