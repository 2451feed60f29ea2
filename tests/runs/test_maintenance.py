"""Purging what was deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from runs.maintenance import purge_deleted
from runs.models import Attempt, Run, ScheduleRollup
from schedules.models import Schedule, SchedulePause
from targets.models import Target
from tests.factories import NOW, make_attempt, make_ended_run, make_run, make_schedule, make_target
from tests.runs.conftest import claim_one, record

pytestmark = pytest.mark.django_db


def delete(row: Target | Schedule) -> None:
    row.deleted_at = NOW
    row.save(update_fields=["deleted_at"])


def purge_all() -> None:
    while purge_deleted(now=NOW):
        pass


def test_nothing_is_purged_while_nothing_is_deleted() -> None:
    make_attempt(make_ended_run())
    assert purge_deleted(now=NOW) == 0


def test_a_deleted_target_takes_everything_with_it() -> None:
    schedule = make_schedule()
    for age in range(5):
        make_attempt(make_ended_run(schedule, scheduled_at=NOW - timedelta(seconds=age)))
    make_run(schedule, scheduled_at=NOW + timedelta(seconds=5))
    ScheduleRollup.objects.create(schedule=schedule)
    SchedulePause.objects.create(schedule=schedule, paused_at=NOW)
    delete(schedule.target)
    purge_all()
    tables = [Target.with_deleted, Schedule.with_deleted, Run.with_deleted]
    tables += [table.objects for table in (Attempt, ScheduleRollup, SchedulePause)]
    assert [table.count() for table in tables] == [0] * 6


def test_what_is_deleted_later_stays_for_now() -> None:
    schedule = make_schedule()
    make_ended_run(schedule)
    delete(schedule)
    assert purge_deleted(now=NOW - timedelta(seconds=1)) == 0
    assert purge_deleted(now=NOW) == 1


def test_a_deleted_schedule_leaves_its_target_and_siblings() -> None:
    target = make_target()
    gone, kept = make_schedule(target), make_schedule(target)
    make_ended_run(gone)
    survivor = make_ended_run(kept)
    delete(gone)
    purge_all()
    assert list(Schedule.with_deleted.all()) == [kept]
    assert list(Run.with_deleted.all()) == [survivor]
    assert Target.with_deleted.count() == 1


def test_one_call_removes_at_most_limit_runs() -> None:
    schedule = make_schedule()
    for age in range(5):
        make_ended_run(schedule, scheduled_at=NOW - timedelta(seconds=age))
    delete(schedule)
    purge_deleted(now=NOW, limit=2)
    assert Run.with_deleted.count() == 3


def test_a_call_in_flight_is_left_until_it_has_ended() -> None:
    run = make_run()
    ticket = claim_one()
    delete(run.target)
    purge_all()
    assert Run.with_deleted.get(id=run.id).status == "running"
    assert (Schedule.with_deleted.count(), Target.with_deleted.count()) == (1, 1), "the run refers to them"
    record(ticket)
    purge_all()
    assert (Run.with_deleted.count(), Target.with_deleted.count()) == (0, 0)


def test_a_target_stays_until_its_test_call_in_flight_has_ended() -> None:
    run = make_run()
    Run.objects.update(schedule=None, trigger="test")
    ticket = claim_one()
    delete(run.target)
    purge_all()
    assert Target.with_deleted.count() == 1
    record(ticket)
    purge_all()
    assert (Run.with_deleted.count(), Target.with_deleted.count()) == (0, 0)


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_g24_a_run_that_somebody_has_locked_is_purged_later(other_connection: psycopg.Connection[Any]) -> None:
    run = make_ended_run()
    delete(run.target)
    other_connection.execute("SELECT 1 FROM runs_run WHERE id = %s FOR UPDATE", [run.id])
    assert purge_deleted(now=NOW) == 0
    other_connection.rollback()
    assert purge_deleted(now=NOW) == 1
