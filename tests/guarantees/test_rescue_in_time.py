"""Guarantees G15, G16 and G19 on clocks that stand still: when orphans are resolved, and what a stop leaves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError, connection

from runs.claim import claim_ready
from runs.models import Attempt, Run
from schedules.clock import database_now
from tests.factories import make_run, make_schedule
from tests.guarantees.rivals import PATIENCE_SECONDS
from tests.worker.workers import Monotonic, ScriptedExecutor, failing_database, make_config
from worker.config import RunMode
from worker.loop import Worker
from worker.models import ProcessKind, WorkerProcess
from worker.presence import register
from worker.seats import Seats

pytestmark = pytest.mark.django_db(transaction=True)

LEASE, REAP, POLL = 30.0, 10.0, 1.0


class Rescuer:
    """A worker at its default times, ticking once per poll on clocks that only `wait` moves."""

    def __init__(self) -> None:
        self.monotonic = Monotonic()
        # Long ago: the lease of the rescuer's own row, which it takes on the real clock, never ends.
        self.zero = database_now() - timedelta(days=1)
        self.elapsed = 0.0
        self._next_beat = 0.0
        self.worker = Worker(make_config(), executor=ScriptedExecutor(), monotonic=self.monotonic)
        self.worker.pool.close()

    def wait(self, seconds: float) -> None:
        """Time passes without anybody doing anything."""
        self.monotonic.pass_seconds(seconds)
        self.elapsed += seconds

    def live_for(self, seconds: float) -> int:
        """Beat and tick as the process would; how many Runs were rescued."""
        rescued = 0
        end = self.elapsed + seconds
        while self.elapsed < end:
            if self.elapsed >= self._next_beat:
                beaten = self.worker.heartbeat.beat()
                self._next_beat = self.elapsed + (LEASE / 3 if beaten else 1)
            with failing_is_fine():
                rescued += self.worker.tick(self.zero + timedelta(seconds=self.elapsed)).rescued
            self.wait(POLL)
        return rescued

    def orphan(self) -> UUID:
        """A Run whose worker beat for the last time at this moment, and died with it."""
        now = self.zero + timedelta(seconds=self.elapsed)
        dead = uuid4()
        register(worker_id=dead, kind=ProcessKind.WORKER, seats=1, lease_seconds=LEASE, now=now)
        run = make_run(make_schedule(on_worker_lost="fail", status="paused", next_run_at=None), scheduled_at=now)
        assert claim_ready(now=now, worker_id=dead, seats=Seats(1))
        return run.id


@contextmanager
def failing_is_fine() -> Iterator[None]:
    """The loop waits and tries again."""
    try:
        yield
    except OperationalError:
        return


@pytest.fixture
def rescuer() -> Rescuer:
    """It has not begun."""
    return Rescuer()


@pytest.mark.parametrize("head_start", [0, 3, 8, 13, 26, 41.5, 100])
def test_g15_an_orphan_is_resolved_in_time_by_a_worker_that_lives(rescuer: Rescuer, head_start: float) -> None:
    rescuer.live_for(head_start)
    run_id = rescuer.orphan()
    assert rescuer.live_for(LEASE) == 0, "until its lease ends, nobody may know that it is dead"
    assert rescuer.live_for(REAP + POLL) == 1
    assert Run.objects.get(id=run_id).final_error_type == "worker_lost"


@pytest.mark.parametrize("later", [1, 29, 31, 500])
def test_g15_an_orphan_is_resolved_in_time_by_a_worker_that_starts_later(rescuer: Rescuer, later: float) -> None:
    rescuer.orphan()
    rescuer.wait(later)
    assert rescuer.live_for(LEASE + REAP + POLL) == 1


def test_g16_after_an_outage_nobody_is_declared_dead_for_a_full_lease(rescuer: Rescuer) -> None:
    rescuer.live_for(100)
    rescuer.orphan()
    with failing_database(OperationalError("gone")):
        assert rescuer.live_for(LEASE + 20) == 0
    # Its lease is over, but the database was away: it may be alive, and as late as we are.
    assert rescuer.live_for(LEASE) == 0
    assert rescuer.live_for(REAP + POLL) == 1


def test_g19_a_claim_that_no_thread_has_begun_goes_back_without_a_trace() -> None:
    schedule = make_schedule(status="paused", next_run_at=None)
    now = database_now()
    run = make_run(schedule, scheduled_at=now - timedelta(minutes=1))
    executor = ScriptedExecutor()
    others = set(threading.enumerate())
    worker = Worker(make_config(mode=RunMode.FOREVER), executor=executor)
    worker.pool.close()
    for thread in set(threading.enumerate()) - others:
        if thread.name.startswith("seat-"):
            thread.join(PATIENCE_SECONDS)

    def stop_in_the_middle(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if 'INSERT INTO "runs_attempt"' in sql:
            worker.stop.request()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(stop_in_the_middle):
        assert worker.run() == 0

    run.refresh_from_db()
    assert (run.status, run.attempt_count, run.started_at, executor.requests) == ("pending", 0, None, [])
    assert not Attempt.objects.exists()
    assert not WorkerProcess.objects.exists()
    assert claim_ready(now=now, worker_id=uuid4(), seats=Seats(1))
