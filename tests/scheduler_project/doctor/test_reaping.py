"""Resolving what dead workers hold, on request."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django import Settings

from runs.models import Run
from scheduler_project.doctor.reaping import reap
from schedules.clock import database_now
from tests.factories import make_run, make_schedule
from tests.runs.conftest import claim
from tests.scheduler_project.doctor.examined import quiet
from worker.models import WorkerProcess
from worker.presence import register, renew

pytestmark = pytest.mark.django_db


def make_silent_worker(runs: int = 1) -> WorkerProcess:
    """One whose lease has just run out, with running Runs."""
    now, worker = database_now() - timedelta(seconds=60), WorkerProcess()
    register(worker_id=worker.id, kind="worker", seats=1, lease_seconds=30, now=now)  # type: ignore[arg-type]
    for _ in range(runs):
        make_run(make_schedule(), scheduled_at=now)
    claim(now, worker_id=worker.id)
    return worker


def test_what_a_dead_worker_held_is_resolved_after_a_heartbeat_of_waiting(settings: Settings) -> None:
    settings.WORKER_LEASE_SECONDS = 30
    make_silent_worker(runs=2)
    waits: list[float] = []
    said: list[str] = []
    finding = reap(say=said.append, sleep=waits.append)
    assert finding.sentence == "2 runs resolved, 1 dead worker removed."
    assert waits == [12.0]
    assert said == ["Waiting 12 s to be sure that 1 worker can't come back ..."]
    assert set(Run.objects.values_list("status", flat=True)) == {"retrying"}


def test_a_worker_that_beats_again_while_we_wait_keeps_its_runs() -> None:
    """The database was away, not the worker."""
    worker = make_silent_worker()

    def sleep(seconds: float) -> None:
        renew(worker_id=worker.id, lease_seconds=30, draining=False, now=database_now())

    assert reap(say=quiet, sleep=sleep).sentence == "0 runs resolved, 0 dead workers removed."
    assert Run.objects.get().status == "running"


def test_runs_of_a_worker_without_a_row_need_no_waiting() -> None:
    make_silent_worker()
    WorkerProcess.objects.all().delete()

    def sleep(seconds: float) -> None:
        raise AssertionError("nobody to wait for")

    assert reap(say=quiet, sleep=sleep).sentence == "1 run resolved, 0 dead workers removed."


def test_more_than_one_batch_is_resolved() -> None:
    worker = make_silent_worker(runs=0)
    schedule = make_schedule(overlap_policy="allow")
    for number in range(101):
        make_run(schedule, scheduled_at=worker.started_at or database_now() - timedelta(seconds=number + 1))
    for _ in range(2):
        claim(database_now(), worker_id=worker.id)
    assert reap(say=quiet, sleep=lambda seconds: None).sentence.startswith("101 runs resolved")
