"""Checks of the work itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from runs import prune
from runs.models import Attempt
from runs.retention import RetentionPolicy
from scheduler_project.doctor import service
from scheduler_project.doctor.findings import Level
from scheduler_project.doctor.service import (
    check_held,
    check_overdue,
    check_retention,
    check_stuck,
    check_workers,
)
from tests.factories import NOW, make_attempt, make_ended_run, make_run, make_schedule
from tests.runs.conftest import claim
from tests.scheduler_project.doctor.examined import make_worker, only, quiet
from worker.models import ProcessKind, WorkerProcess

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
LONG_DUE = NOW - timedelta(minutes=5)


def test_live_workers_are_named() -> None:
    make_worker()
    finding = only(check_workers(NOW))
    assert finding.level is Level.OK
    assert finding.sentence.startswith("1 live worker: ")


def test_no_worker_is_a_failure_where_something_is_scheduled() -> None:
    make_worker(kind=ProcessKind.WEB)
    assert only(check_workers(NOW)).level is Level.WARNING
    make_schedule()
    finding = only(check_workers(NOW))
    assert finding.level is Level.FAILURE
    assert "manage.py runscheduler" in finding.remedy


def test_no_worker_is_a_failure_where_a_run_waits_although_nothing_is_scheduled() -> None:
    make_run(make_schedule(status="paused", next_run_at=None))
    assert only(check_workers(NOW)).level is Level.FAILURE


def test_dead_workers_are_told_from_live_ones() -> None:
    make_worker()
    make_worker(lease=-1)
    live, dead = check_workers(NOW)
    assert (live.level, dead.level) == (Level.OK, Level.WARNING)
    assert live.sentence.startswith("1 live worker: ")
    assert dead.sentence.startswith("1 dead worker: ")


def test_an_empty_queue_is_in_order() -> None:
    make_schedule()
    assert check_overdue(NOW).level is Level.OK


@pytest.mark.parametrize("live", [True, False])
def test_overdue_work_is_a_failure_without_a_worker_and_a_warning_with_one(live: bool) -> None:
    make_schedule(next_run_at=LONG_DUE)
    make_run(make_schedule(), scheduled_at=LONG_DUE)
    if live:
        make_worker()
    finding = check_overdue(NOW)
    assert finding.level is (Level.WARNING if live else Level.FAILURE)
    assert "1 schedule and 1 run have been due for more than 30 s, the oldest for 5 minutes" in finding.sentence


@pytest.mark.parametrize(("seconds", "level"), [(29, Level.OK), (31, Level.FAILURE)])
def test_work_is_overdue_after_a_lease(seconds: int, level: Level) -> None:
    since = NOW - timedelta(seconds=seconds)
    make_run(make_schedule(next_run_at=since), scheduled_at=since)
    assert check_overdue(NOW).level is level


def test_a_live_web_process_takes_up_nothing_overdue() -> None:
    make_schedule(next_run_at=LONG_DUE)
    make_worker(kind=ProcessKind.WEB)
    assert check_overdue(NOW).level is Level.FAILURE


def test_a_worker_that_drains_takes_up_nothing_overdue() -> None:
    make_schedule(next_run_at=LONG_DUE)
    make_worker()
    WorkerProcess.objects.update(draining=True)
    assert check_overdue(NOW).level is Level.FAILURE


def test_calls_held_by_live_workers_are_in_order() -> None:
    make_run()
    assert only(check_stuck(NOW)).sentence == "No call is in flight."
    claim(worker_id=make_worker())
    # Not even at the end of the longest time-out.
    finding = only(check_stuck(NOW + timedelta(seconds=25)))
    assert (finding.level, finding.sentence) == (Level.OK, "1 call in flight, held by live workers.")


def test_runs_of_dead_and_of_missing_workers_are_orphans() -> None:
    for worker_id in (make_worker(lease=-1), uuid4()):
        make_run()
        claim(worker_id=worker_id)
    finding = only(check_stuck(NOW))
    assert (finding.level, finding.sentence) == (Level.WARNING, "2 runs held by dead workers.")
    assert "--reap" in finding.remedy


def test_a_call_far_over_every_time_out_hangs() -> None:
    make_run(scheduled_at=NOW - timedelta(hours=1))
    claim(NOW - timedelta(hours=1), worker_id=make_worker())
    finding = only(check_stuck(NOW))
    assert (finding.level, finding.sentence) == (
        Level.FAILURE,
        "1 call of live workers far over every time-out.",
    )


@pytest.mark.parametrize(("seconds", "level"), [(179, Level.OK), (181, Level.FAILURE)])
def test_a_call_hangs_once_it_is_two_leases_over_the_longest_time_out(seconds: int, level: Level) -> None:
    begun = NOW - timedelta(seconds=seconds)
    make_run(scheduled_at=begun)
    claim(begun, worker_id=make_worker())
    assert only(check_stuck(NOW)).level is level


def test_a_status_that_contradicts_the_open_attempt_is_a_failure() -> None:
    make_run()
    claim(worker_id=make_worker())
    Attempt.objects.update(completed_at=NOW)
    make_attempt(make_run(), completed_at=None)
    finding = only(check_stuck(NOW))
    assert finding.level is Level.FAILURE
    assert finding.sentence.startswith("2 runs whose status")


def test_schedules_that_are_held_back_are_named_with_their_error() -> None:
    make_schedule(status="paused", next_run_at=None, held_until=NOW, last_error="No such zone.")
    assert check_held(NOW).level is Level.OK, "a paused one waits for nothing"
    make_schedule(name="Nightly", held_until=NOW, last_error="No such zone.")
    finding = check_held(NOW)
    assert finding.level is Level.WARNING
    assert "Nightly (No such zone.)" in finding.sentence


def test_retention_is_behind_when_what_should_be_gone_is_not() -> None:
    policy = RetentionPolicy(14 * DAY, 90 * DAY, 3 * DAY, 0)
    schedule = make_schedule()
    at = NOW - 14.1 * DAY
    make_attempt(make_ended_run(schedule, completed_at=at), completed_at=at, response_body="x")
    assert check_retention(policy, NOW - DAY, quiet).level is Level.WARNING, "a body"
    finding = check_retention(policy, NOW + DAY, quiet)
    assert finding.sentence == "It is behind: 1 run and the bodies of 1 attempt should be gone."
    assert check_retention(replace(policy, body_age=None), at + 14.2 * DAY, quiet).level is Level.OK, (
        "it may take hours"
    )
    kept = RetentionPolicy(14 * DAY, 90 * DAY, None, 1)
    assert check_retention(kept, NOW + DAY, quiet).level is Level.OK


def test_a_long_past_is_not_looked_through_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_LOOKED_AT", 2)
    monkeypatch.setattr(prune, "MOST_ROWS", 1)
    for number in range(5):
        make_ended_run(make_schedule(), completed_at=NOW - (30 + number) * DAY)
    finding = check_retention(RetentionPolicy(14 * DAY, 90 * DAY, None, 0), NOW, quiet)
    assert "at least 2 runs" in finding.sentence
