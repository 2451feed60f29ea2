"""Rows as tuples: the same values that the ORM's own query for values gives, locked or not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from runs.enqueue import DueSchedule
from runs.locked_run import RUN_COLUMNS, LockedRun, locked_runs
from runs.models import Run
from runs.row_fetch import fetch_rows
from schedules.models import Schedule
from targets.models import Target
from tests.factories import NOW, make_run, make_schedule

pytestmark = pytest.mark.django_db


def test_each_value_stands_under_its_name() -> None:
    make_schedule(next_run_at=NOW, max_runs=7, expires_at=NOW + timedelta(days=1), run_count=3)
    with transaction.atomic():
        rows = fetch_rows(Schedule.with_deleted.lock_due(NOW, 10), DueSchedule._fields)
    assert rows == list(Schedule.objects.values_list(*DueSchedule._fields))


def test_the_columns_of_what_is_referenced_stand_among_them() -> None:
    run = make_run(token=5, attempt_count=2, started_at=NOW, reason="why")
    make_run(make_schedule(target=run.target, max_retries=1, retry_delay_seconds=2.5))
    with transaction.atomic():
        found = locked_runs(Run.with_deleted.lock_running(list(Run.objects.values_list("id", flat=True))))
    expected = Run.objects.order_by("id").values_list(*RUN_COLUMNS)
    assert list(found) == [LockedRun._make(row) for row in expected]
    # Positions in the query are not those of the names.
    assert fetch_rows(Run.objects.filter(id=run.id), ("target__name", "token", "schedule__name", "id")) == [
        (run.target.name, 5, "Sync orders", run.id)
    ]


def test_without_a_schedule_its_columns_are_null() -> None:
    run = make_run(trigger="test")
    Run.objects.update(schedule=None)
    with transaction.atomic():
        (found,) = locked_runs(Run.with_deleted.lock_running([run.id]))
    assert (found.schedule_id, found.retry_terms, found.is_deleted) == (None, None, False)


@pytest.mark.parametrize("owner", ["target", "schedule"])
def test_a_locked_run_and_an_instance_agree_on_what_is_deleted_and_on_retries(owner: str) -> None:
    run = make_run()
    model = Target if owner == "target" else Schedule
    model.with_deleted.filter(id=getattr(run, f"{owner}_id")).update(deleted_at=NOW)
    with transaction.atomic():
        (found,) = locked_runs(Run.with_deleted.lock_running([run.id]))
    instance = Run.with_deleted.select_related("schedule", "target").get()
    assert found.is_deleted is instance.is_deleted is True
    assert found.retry_terms == instance.retry_terms == (3, 1.0, 3600.0)
