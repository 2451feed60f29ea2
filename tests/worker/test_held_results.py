"""No result is lost to a stop, or to a database in trouble (guarantees G19, G20)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import OperationalError

from runs.models import Run
from tests.factories import NOW, make_run, make_schedule
from tests.worker.workers import SOON, Monotonic, ScriptedExecutor, failing_database, make_config, settle
from worker.loop import Worker
from worker.models import WorkerProcess
from worker.pool import Finished

# Trouble closes the connection, and the heartbeat has one of its own: no test may live inside one transaction.
pytestmark = pytest.mark.django_db(transaction=True)

Collect = Callable[[float], list[Finished]]


@pytest.fixture
def executor() -> ScriptedExecutor:
    """Its calls last until the gate is opened."""
    return ScriptedExecutor(gate_open=False)


@pytest.fixture
def monotonic() -> Monotonic:
    """The worker's clock: it moves only while the worker waits."""
    return Monotonic()


@pytest.fixture
def worker(executor: ScriptedExecutor, monotonic: Monotonic) -> Worker:
    """A worker with one call to make, whose database is of another time than this machine."""
    make_run(make_schedule(status="paused", next_run_at=None))
    return Worker(make_config(), executor=executor, monotonic=monotonic, read_clock=lambda: NOW)


def wait_by(worker: Worker, wait: Callable[[float, Collect], list[Finished]]) -> None:
    """Let `wait` stand in for the worker's waiting; what has ended already is collected as ever."""
    collect = worker.pool.collect

    def instead(timeout: float) -> list[Finished]:
        return wait(timeout, collect) if timeout > 0 else collect(0)

    setattr(worker.pool, "collect", instead)  # noqa: B010 - mypy takes no assignment to a method


def test_g19_it_waits_for_a_call_that_ends_after_the_stop(
    worker: Worker, executor: ScriptedExecutor, monotonic: Monotonic
) -> None:
    def wait(timeout: float, collect: Collect) -> list[Finished]:
        if worker.stop.requested:
            monotonic.pass_seconds(timeout)
            executor.open_gate()
            return collect(SOON if worker.pool.in_flight() else 0)
        assert executor.begun.acquire(timeout=SOON)
        worker.stop.request()
        return []

    wait_by(worker, wait)
    assert worker.run() == 0
    run = Run.objects.get()
    assert (run.status, run.completed_at) == ("success", NOW), "G21: the database's time, in a stop as well"
    assert not WorkerProcess.objects.exists()


def test_g20_it_waits_for_the_database_with_what_it_has_to_write(
    worker: Worker, executor: ScriptedExecutor, monotonic: Monotonic
) -> None:
    waits: list[float] = []

    def wait(timeout: float, collect: Collect) -> list[Finished]:
        if worker.stop.requested:
            waits.append(timeout)
            monotonic.pass_seconds(timeout)
            return []
        executor.open_gate()
        finished = collect(SOON)
        assert finished
        worker.stop.request()
        return finished

    wait_by(worker, wait)
    with failing_database(OperationalError("gone"), when=lambda _: worker.stop.requested and len(waits) < 4):
        assert worker.run() == 0
    assert waits[:4] == [0.5, 1, 2, 4]
    assert Run.objects.get().status == "success"
    assert not WorkerProcess.objects.exists()


def test_g20_a_database_that_stays_away_longer_than_the_drain_time_costs_the_result_and_the_exit_code_says_so(
    worker: Worker, executor: ScriptedExecutor, monotonic: Monotonic
) -> None:
    began: list[float] = []

    def wait(timeout: float, collect: Collect) -> list[Finished]:
        if worker.stop.requested:
            monotonic.pass_seconds(timeout)
            return []
        executor.open_gate()
        finished = collect(SOON)
        worker.stop.request()
        began.append(monotonic())
        return finished

    wait_by(worker, wait)
    with failing_database(OperationalError("gone"), when=lambda _: worker.stop.requested):
        assert worker.run() == 1
    assert monotonic() - began[0] == worker.config.drain_seconds
    assert Run.objects.get().status == "running", "left to rescue"


def test_g20_results_go_first_where_another_step_keeps_failing(
    worker: Worker, executor: ScriptedExecutor, monotonic: Monotonic
) -> None:
    executor.open_gate()
    worker.heartbeat.beat()
    worker.tick(NOW)
    settle(worker)
    statuses: list[str] = []

    def wait(timeout: float, _collect: Collect) -> list[Finished]:
        monotonic.pass_seconds(timeout)
        statuses.append(Run.objects.get().status)
        if len(statuses) == 2:
            worker.stop.request()
        return []

    wait_by(worker, wait)
    # The first step of a tick: those after it are not reached.
    with failing_database(OperationalError("gone"), when=lambda sql: 'FROM "schedules_schedule"' in sql):
        assert worker.run() == 0
    assert statuses == ["running", "success"]
