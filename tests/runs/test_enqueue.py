"""Turning due nominal times into Runs (guarantees G1, G2, G4, G5 and G7)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from runs.enqueue import enqueue_due
from runs.identity import scheduled_run_id
from runs.models import MinuteRollup, Run
from runs.next_moments import next_due_moments
from schedules.models import Schedule
from schedules.recurrence import jitter_offset
from tests.factories import NOW, make_run, make_schedule, make_target

pytestmark = pytest.mark.django_db
DUE = NOW + timedelta(minutes=1)


def enqueue(now: datetime = DUE) -> int:
    return enqueue_due(now, poll_seconds=1)


def runs() -> list[Run]:
    return list(Run.with_deleted.order_by("id"))


def test_a_due_schedule_gets_its_run_and_moves_on() -> None:
    schedule = make_schedule()
    assert enqueue() == 1
    (run,) = runs()
    schedule.refresh_from_db()
    assert (run.id, run.scheduled_at) == (scheduled_run_id(schedule.id, DUE), DUE)
    assert (run.status, run.trigger, run.next_attempt_at, run.created_at) == ("pending", "schedule", DUE, DUE)
    assert (schedule.next_run_at, schedule.run_count, schedule.last_run_at) == (DUE + timedelta(minutes=1), 1, DUE)


def test_updated_at_belongs_to_people_and_is_left_alone() -> None:
    schedule = make_schedule()
    enqueue()
    schedule.refresh_from_db()
    assert schedule.updated_at == NOW


def test_nothing_happens_before_the_time_has_come() -> None:
    make_schedule()
    assert enqueue(DUE - timedelta(milliseconds=1)) == 0
    assert runs() == []


def test_the_next_fire_is_counted_from_the_nominal_time_and_not_from_the_clock() -> None:
    schedule = make_schedule()
    enqueue(DUE + timedelta(seconds=7))
    schedule.refresh_from_db()
    assert schedule.next_run_at == DUE + timedelta(minutes=1)


@pytest.mark.parametrize("state", [{"status": "paused", "next_run_at": None}, {"deleted_at": NOW}])
def test_paused_and_deleted_schedules_do_not_fire(state: dict[str, Any]) -> None:
    make_schedule(**state)
    assert enqueue() == 0


def test_schedules_of_a_deleted_target_do_not_fire() -> None:
    make_schedule(make_target(deleted_at=NOW))
    assert enqueue() == 0


def test_a_nominal_time_that_has_a_run_never_fires_again() -> None:
    schedule = make_schedule()
    enqueue()
    Schedule.objects.filter(id=schedule.id).update(next_run_at=DUE)
    enqueue()
    assert [run.scheduled_at for run in runs()] == [DUE]
    schedule.refresh_from_db()
    assert (schedule.run_count, schedule.next_run_at) == (1, DUE + timedelta(minutes=1))


def test_the_last_of_max_runs_ends_the_schedule() -> None:
    schedule = make_schedule(max_runs=1)
    enqueue()
    schedule.refresh_from_db()
    assert (schedule.status, schedule.next_run_at, schedule.run_count) == ("expired", None, 1)


def test_a_skipped_run_does_not_use_up_max_runs() -> None:
    schedule = make_schedule(max_runs=1)
    make_run(schedule)
    enqueue()
    schedule.refresh_from_db()
    assert (schedule.status, schedule.run_count) == ("active", 0)


def test_the_end_of_the_window_is_inclusive_and_ends_the_schedule() -> None:
    schedule = make_schedule(expires_at=DUE)
    enqueue()
    schedule.refresh_from_db()
    assert (len(runs()), schedule.status) == (1, "expired")


def test_overlap_skip_leaves_a_row_that_says_so() -> None:
    schedule = make_schedule()
    make_run(schedule)
    enqueue()
    skipped = Run.objects.get(status="skipped")
    assert (skipped.reason, skipped.scheduled_at, skipped.missed_ticks) == ("overlap", DUE, 1)
    assert (skipped.completed_at, skipped.next_attempt_at) == (DUE, None)


def test_overlap_counts_manual_runs_too() -> None:
    schedule = make_schedule()
    make_run(schedule, trigger="manual")
    enqueue()
    assert Run.objects.filter(status="skipped", reason="overlap").count() == 1


def test_overlap_allow_starts_another_run() -> None:
    schedule = make_schedule(overlap_policy="allow")
    make_run(schedule)
    enqueue()
    assert Run.objects.filter(status="pending").count() == 2


def test_overlap_queue_lets_one_wait_and_skips_the_next() -> None:
    schedule = make_schedule(overlap_policy="queue")
    make_run(schedule)
    enqueue()
    enqueue(DUE + timedelta(minutes=1))
    queued = Run.objects.get(queued=True)
    assert (queued.scheduled_at, queued.status) == (DUE, "pending")
    assert Run.objects.filter(status="skipped", reason="overlap").count() == 1


def test_a_gap_of_many_ticks_is_one_row() -> None:
    make_schedule(misfire_grace_seconds=60)
    now = NOW + timedelta(minutes=10, seconds=5)
    enqueue(now)
    gaps = {run.reason: (run.scheduled_at, run.missed_ticks) for run in runs() if run.status == "skipped"}
    assert gaps == {"misfire": (DUE, 9)}
    assert Run.objects.get(status="pending").scheduled_at == NOW + timedelta(minutes=10)


def test_skipped_runs_are_counted_in_the_metrics() -> None:
    make_schedule(misfire_grace_seconds=0, catch_up="none")
    enqueue(NOW + timedelta(minutes=5, seconds=30))
    assert MinuteRollup.objects.get(kind="status", label="skipped").count == 1


def test_jitter_moves_the_start_and_not_the_nominal_time() -> None:
    schedule = make_schedule(jitter_seconds=30)
    enqueue()
    (run,) = runs()
    schedule.refresh_from_db()
    assert run.next_attempt_at == DUE + jitter_offset(schedule.id, 30)
    assert (run.scheduled_at, schedule.next_run_at) == (DUE, DUE + timedelta(minutes=1))


def test_a_schedule_that_cannot_be_computed_is_held_back_and_the_others_fire() -> None:
    poison = make_schedule(schedule_type="cron", interval_seconds=None, cron_expression="not a cron", name="poison")
    make_schedule()
    enqueue()
    poison.refresh_from_db()
    assert len(runs()) == 1
    assert poison.last_error.startswith("The next fire can't be computed")
    assert (poison.held_until, poison.next_run_at) == (DUE + timedelta(minutes=1), DUE)


def test_a_held_schedule_is_tried_again_later_and_later() -> None:
    poison = make_schedule(schedule_type="cron", interval_seconds=None, cron_expression="not a cron")
    waits = []
    now = DUE
    for _ in range(9):
        assert enqueue(now) == 1
        poison.refresh_from_db()
        assert poison.held_until is not None
        waits.append((poison.held_until - now).total_seconds() / 60)
        assert enqueue(poison.held_until - timedelta(seconds=1)) == 0
        now = poison.held_until
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_schedule_that_is_mended_fires_and_forgets_its_error() -> None:
    schedule = make_schedule(last_error="broken", enqueue_failures=3, held_until=NOW)
    enqueue()
    schedule.refresh_from_db()
    assert (schedule.last_error, schedule.enqueue_failures, schedule.held_until) == ("", 0, None)


def test_work_is_next_due_when_a_schedule_fires_and_when_a_hold_ends() -> None:
    make_schedule(next_run_at=NOW + timedelta(minutes=9))
    make_schedule(next_run_at=NOW, held_until=NOW + timedelta(minutes=5))
    assert next_due_moments() == [NOW + timedelta(minutes=9), NOW + timedelta(minutes=5)]


def test_at_most_limit_schedules_are_taken_longest_waiting_first() -> None:
    late = make_schedule(next_run_at=NOW - timedelta(minutes=2), misfire_grace_seconds=3600)
    make_schedule(next_run_at=NOW)
    assert enqueue_due(NOW, poll_seconds=1, limit=1) == 1
    assert {run.schedule_id for run in runs()} == {late.id}


def test_g23_a_pass_takes_a_hundred_schedules_and_the_next_goes_on() -> None:
    target = make_target()
    for _ in range(101):
        make_schedule(target)
    assert [enqueue_due(DUE, poll_seconds=1) for _ in range(3)] == [100, 1, 0]


def test_a_batch_takes_a_constant_number_of_queries(django_assert_max_num_queries: Any) -> None:
    target = make_target()
    for _ in range(50):
        make_schedule(target)
    with django_assert_max_num_queries(12):
        assert enqueue() == 50


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_a_schedule_locked_by_another_worker_is_passed_over(other_connection: psycopg.Connection[Any]) -> None:
    locked, free = make_schedule(), make_schedule()
    other_connection.execute("SELECT 1 FROM schedules_schedule WHERE id = %s FOR NO KEY UPDATE", [locked.id])
    enqueue()
    assert [run.schedule_id for run in runs()] == [free.id]


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_an_edit_that_commits_first_wins(other_connection: psycopg.Connection[Any]) -> None:
    schedule = make_schedule()
    other_connection.execute(
        "UPDATE schedules_schedule SET status = 'paused', next_run_at = NULL WHERE id = %s", [schedule.id]
    )
    assert enqueue() == 0
    other_connection.commit()
    assert enqueue() == 0
    assert runs() == []


def test_nominal_times_carry_their_microseconds() -> None:
    started = datetime(2026, 3, 10, 12, 0, 0, 123456, tzinfo=UTC)
    make_schedule(started_at=started, next_run_at=started + timedelta(minutes=1))
    enqueue(NOW + timedelta(minutes=2))
    (run,) = runs()
    assert run.scheduled_at == started + timedelta(minutes=1)
