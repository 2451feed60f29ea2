"""Guarantees G1, G3, G9, G12: a worker killed at each named point, in both delivery modes, then a healthy one."""

from __future__ import annotations

import signal
from collections import Counter
from datetime import timedelta

import pytest

from runs.models import Attempt, Run
from schedules.clock import database_now
from schedules.models import Schedule
from tests.acceptance.conftest import PATIENCE_SECONDS, Workers, ended, wait_until
from tests.factories import make_schedule, make_target
from tests.http_target import RecordingTarget

pytestmark = pytest.mark.django_db(transaction=True)

SENT_AGAIN = "retry"
NEVER_AGAIN = "fail"


def due_now(target: RecordingTarget, on_worker_lost: str, path: str = "/") -> Schedule:
    """A POST that is due this moment, once."""
    now = database_now()
    return make_schedule(
        make_target(url=target.url(path), method="POST"),
        schedule_type="once",
        interval_seconds=None,
        run_at=now,
        started_at=now - timedelta(seconds=1),
        next_run_at=now,
        on_worker_lost=on_worker_lost,
        misfire_grace_seconds=3600,
        retry_delay_seconds=0.1,
    )


def run_of(schedule: Schedule) -> Run:
    """The schedule's only run, when it has ended."""
    wait_until(schedule.runs.exists, "the run exists")
    return ended(schedule.runs.get())


def errors(run: Run) -> list[str]:
    """The error types of its attempts, in order."""
    return list(run.attempts.values_list("error_type", flat=True))


def crash(workers: Workers, point: str) -> None:
    """Start a worker that dies at the point, and wait for its death."""
    assert workers.start_crashing(point).wait(PATIENCE_SECONDS) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("point", "at_crash"),
    [
        ("before_enqueue_commit", None),
        ("after_enqueue_commit", "pending"),
        ("before_claim_commit", "pending"),
    ],
)
def test_a_crash_before_the_claim_is_committed_costs_nothing(
    workers: Workers, target: RecordingTarget, point: str, at_crash: str | None
) -> None:
    schedule = due_now(target, NEVER_AGAIN)
    crash(workers, point)
    assert schedule.runs.values_list("status", flat=True).first() == at_crash
    assert not Attempt.objects.exists()
    workers.start()
    run = run_of(schedule)
    assert (run.status, errors(run), len(target.calls())) == ("success", ["none"], 1)


@pytest.mark.parametrize("point", ["after_claim_commit", "before_send"])
@pytest.mark.parametrize(
    ("mode", "status", "attempts", "calls"),
    [(SENT_AGAIN, "success", ["worker_lost", "none"], 1), (NEVER_AGAIN, "failed", ["worker_lost"], 0)],
)
def test_a_crash_between_claim_and_send_is_resolved_by_the_mode(
    workers: Workers, target: RecordingTarget, point: str, mode: str, status: str, attempts: list[str], calls: int
) -> None:
    schedule = due_now(target, mode)
    crash(workers, point)
    assert (schedule.runs.get().status, len(target.calls())) == ("running", 0)
    workers.start()
    run = run_of(schedule)
    assert (run.status, errors(run), len(target.calls())) == (status, attempts, calls)


@pytest.mark.parametrize("point", ["after_send", "after_response", "before_result_commit"])
@pytest.mark.parametrize(
    ("mode", "status", "attempts", "calls"),
    [(SENT_AGAIN, "success", ["worker_lost", "none"], 2), (NEVER_AGAIN, "failed", ["worker_lost"], 1)],
)
def test_a_crash_after_the_send_repeats_the_key_or_nothing(
    workers: Workers, target: RecordingTarget, point: str, mode: str, status: str, attempts: list[str], calls: int
) -> None:
    schedule = due_now(target, mode)
    crash(workers, point)
    target.wait_for(1)
    assert schedule.runs.get().status == "running"
    workers.start()
    run = run_of(schedule)
    assert (run.status, errors(run)) == (status, attempts)
    assert Counter(call.key for call in target.calls()) == {str(run.id): calls}


def test_a_crash_after_the_result_is_committed_changes_nothing(workers: Workers, target: RecordingTarget) -> None:
    schedule = due_now(target, SENT_AGAIN)
    crash(workers, "after_result_commit")
    assert schedule.runs.get().status == "success"
    workers.start("--drain").wait(PATIENCE_SECONDS)
    assert (errors(schedule.runs.get()), len(target.calls())) == (["none"], 1)


@pytest.mark.parametrize(("mode", "status", "calls"), [(SENT_AGAIN, "success", 2), (NEVER_AGAIN, "failed", 1)])
def test_a_crash_while_draining_is_resolved_by_the_mode(
    workers: Workers, target: RecordingTarget, mode: str, status: str, calls: int
) -> None:
    schedule = due_now(target, mode, "/held")
    doomed = workers.start_crashing("in_drain")
    target.wait_for(1)
    doomed.send_signal(signal.SIGTERM)
    assert doomed.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    target.release()
    workers.start()
    run = run_of(schedule)
    assert (run.status, len(target.calls())) == (status, calls)


@pytest.mark.parametrize("point", ["before_rescue_commit", "after_rescue_commit"])
@pytest.mark.parametrize(
    ("mode", "status", "attempts", "calls"),
    [(SENT_AGAIN, "success", ["worker_lost", "none"], 2), (NEVER_AGAIN, "failed", ["worker_lost"], 1)],
)
def test_a_crash_of_the_rescuer_leaves_the_orphan_to_the_next(
    workers: Workers, target: RecordingTarget, point: str, mode: str, status: str, attempts: list[str], calls: int
) -> None:
    schedule = due_now(target, mode)
    crash(workers, "after_send")
    target.wait_for(1)
    crash(workers, point)
    workers.start()
    run = run_of(schedule)
    assert (run.status, errors(run), len(target.calls())) == (status, attempts, calls)
