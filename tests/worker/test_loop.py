"""The loop through its own entries, `tick` and `run`, with a scripted executor."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from runs.models import Attempt, Run
from schedules.clock import database_now
from schedules.models import Schedule
from tests.factories import NOW, make_run, make_schedule, make_target
from tests.worker.workers import (
    SOON,
    UNAVAILABLE,
    Monotonic,
    ScriptedExecutor,
    failing_database,
    make_config,
    settle,
)
from worker.chores import Chore
from worker.config import RunMode
from worker.loop import Tick, Worker
from worker.models import WorkerProcess
from worker.pool import Finished

NOTHING = Tick(enqueued=0, claimed=0, recorded=0, rescued=0, maintained=0)
DUE = NOW + timedelta(minutes=1)

MakeWorker = Callable[..., Worker]

# Trouble closes the connection, and the heartbeat has one of its own: no test may live inside one transaction.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def make_worker() -> Iterator[MakeWorker]:
    """Workers that have beaten once; their pools are closed at the end."""
    workers: list[Worker] = []

    def make(
        executor: ScriptedExecutor | None = None, *, chores: tuple[Chore, ...] = (), beat: bool = True, **config: Any
    ) -> Worker:
        worker = Worker(make_config(**config), executor=executor or ScriptedExecutor(), chores=chores)
        workers.append(worker)
        if beat:
            worker.heartbeat.beat()
        return worker

    yield make
    for worker in workers:
        worker.pool.close()


def reads(table: str) -> Callable[[str], bool]:
    """Whether a statement selects from this table first."""
    return lambda sql: f'FROM "{table}"' in sql


@contextmanager
def losing_the_answer_to_the_commit_of(table: str) -> Iterator[None]:
    """A transaction that inserts into the table is committed, but the connection breaks before we hear of it."""

    def break_connection() -> None:
        raise OperationalError("server closed the connection unexpectedly")

    def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if f'INSERT INTO "{table}"' in sql:
            transaction.on_commit(break_connection)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        yield


def test_a_tick_enqueues_claims_and_executes_and_a_later_one_records(make_worker: MakeWorker) -> None:
    worker = make_worker()
    schedule = make_schedule(next_run_at=DUE)

    first = worker.tick(DUE)
    settle(worker)
    second = worker.tick(DUE + timedelta(seconds=1))

    assert (first.enqueued, first.claimed) == (1, 1)
    assert second == Tick(enqueued=0, claimed=0, recorded=1, rescued=0, maintained=0)
    run = Run.objects.get()
    assert (run.status, run.scheduled_at, run.attempt_count) == ("success", DUE, 1)
    schedule.refresh_from_db()
    assert schedule.next_run_at == DUE + timedelta(minutes=1)


def test_an_idle_tick_finds_nothing(make_worker: MakeWorker) -> None:
    make_schedule(next_run_at=DUE)
    tick = make_worker().tick(NOW)

    assert tick == NOTHING
    assert not tick.found_work


def test_the_moments_of_an_attempt_are_the_databases(make_worker: MakeWorker) -> None:
    """G21: `now` decides, whatever this machine's clock says."""
    worker = make_worker()
    make_run()

    worker.tick(NOW)
    settle(worker)
    worker.tick(NOW + timedelta(seconds=1))

    attempt = Attempt.objects.get()
    assert attempt.completed_at is not None
    assert abs(attempt.started_at - NOW) < timedelta(seconds=SOON)
    assert attempt.started_at <= attempt.completed_at < NOW + timedelta(minutes=1)


def test_a_failed_call_is_retried_from_the_database(make_worker: MakeWorker) -> None:
    executor = ScriptedExecutor(UNAVAILABLE)
    worker = make_worker(executor)
    make_run()
    worker.tick(NOW)
    settle(worker)
    worker.tick(NOW + timedelta(seconds=0.1))
    assert Run.objects.get().status == "retrying"

    worker.tick(NOW + timedelta(minutes=1))
    settle(worker)

    assert len(executor.requests) == 2


def test_it_claims_no_more_than_it_has_seats(make_worker: MakeWorker) -> None:
    executor = ScriptedExecutor(gate_open=False)
    worker = make_worker(executor, seats=2)
    for _ in range(3):
        make_run()

    assert [worker.tick(NOW).claimed, worker.tick(NOW).claimed] == [2, 0]
    executor.open_gate()
    settle(worker, calls=2)
    assert worker.tick(NOW).claimed == 1


def test_runs_that_wait_for_seats_get_them_before_anything_else_is_done(make_worker: MakeWorker) -> None:
    executor = ScriptedExecutor(gate_open=False)
    worker = make_worker(executor, seats=1)
    for _ in range(3):
        make_run()
    worker.tick(NOW)
    executor.open_gate()
    settle(worker)
    # Enqueueing takes until the call that the claim started has begun: the other way round it would wait in vain.
    assert executor.begun.acquire(timeout=SOON)
    begun: list[bool] = []

    def wait_for_the_call(*_: object, **__: object) -> int:
        begun.append(executor.begun.acquire(timeout=SOON))
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("worker.loop.enqueue_due", wait_for_the_call)
        assert worker.tick(NOW).claimed >= 1
    assert begun == [True]


def test_where_no_run_waits_what_is_due_is_enqueued_first(make_worker: MakeWorker) -> None:
    worker = make_worker(seats=1)
    make_schedule(next_run_at=DUE)
    make_schedule(next_run_at=DUE + timedelta(seconds=1))
    worker.tick(DUE)
    settle(worker)
    worker.tick(DUE)
    # Enqueued and claimed in one tick, so that it starts on time.
    later = worker.tick(DUE + timedelta(seconds=1))
    assert (later.enqueued, later.claimed) == (1, 1)


def test_g22_a_target_that_hangs_leaves_seats_for_the_others(make_worker: MakeWorker) -> None:
    executor = ScriptedExecutor(gate_open=False)
    worker = make_worker(executor, seats=5)
    frozen, other = make_target(), make_target()
    for _ in range(9):
        make_run(make_schedule(frozen, overlap_policy="allow"))
    assert worker.tick(NOW).claimed == 4

    run = make_run(make_schedule(other))
    worker.tick(NOW)

    run.refresh_from_db()
    assert run.status == "running"
    executor.open_gate()


def test_d12_calls_to_one_host_take_turns_and_others_go_on(make_worker: MakeWorker) -> None:
    for url in ("http://a.example/1", "http://a.example/2", "http://b.example/"):
        make_run(make_schedule(make_target(url=url)))
    executor = ScriptedExecutor(gate_open=False)
    worker = make_worker(executor, seats=5, calls_per_host=1)
    assert worker.tick(NOW).claimed == 2
    assert worker.tick(NOW).claimed == 0
    executor.open_gate()
    settle(worker, 2)
    assert worker.tick(NOW).claimed == 1
    settle(worker)
    worker.tick(NOW)
    assert list(Run.objects.values_list("status", flat=True)) == ["success"] * 3


def test_g17_without_a_certain_lease_it_claims_nothing(make_worker: MakeWorker) -> None:
    worker = make_worker(beat=False)
    make_run()
    assert worker.tick(NOW).claimed == 0

    worker.heartbeat.beat()
    assert worker.tick(NOW).claimed == 1


def test_g17_a_call_withheld_because_the_lease_ran_out_goes_back_unspent(make_worker: MakeWorker) -> None:
    executor = ScriptedExecutor(gate_open=False)
    worker = make_worker(executor)
    make_run()
    worker.tick(NOW)
    assert executor.begun.acquire(timeout=SOON)
    # The process was frozen past its lease between the claim and the send.
    worker.heartbeat.lease = type(worker.heartbeat.lease)(worker.heartbeat.worker_id)
    executor.open_gate()
    settle(worker)

    worker.tick(NOW + timedelta(seconds=40))

    run = Run.objects.get()
    assert (run.status, run.attempt_count) == ("pending", 0)
    assert not Attempt.objects.exists()
    assert executor.requests == []


def test_g17_what_was_claimed_before_the_worker_was_given_up_is_not_sent_under_its_new_id(
    make_worker: MakeWorker,
) -> None:
    executor = ScriptedExecutor(gate_open=False)
    worker = make_worker(executor)
    make_run()
    worker.tick(NOW)
    assert executor.begun.acquire(timeout=SOON)
    # Frozen for so long that others removed its row; its heartbeat is the first of its threads to wake.
    WorkerProcess.objects.all().delete()
    worker.heartbeat.beat()
    executor.open_gate()
    settle(worker)

    assert worker.heartbeat.trusted()
    assert executor.requests == []


def test_once_a_stop_is_asked_for_it_claims_nothing(make_worker: MakeWorker) -> None:
    worker = make_worker()
    make_run()
    worker.stop.request()
    assert worker.tick(NOW).claimed == 0


def test_a_step_that_fails_does_not_stop_the_others(make_worker: MakeWorker, caplog: pytest.LogCaptureFixture) -> None:
    worker = make_worker()
    make_run()
    with failing_database(ZeroDivisionError("a bug"), when=reads("schedules_schedule")):
        first, second = worker.tick(NOW), worker.tick(NOW)

    assert (first.enqueued, first.claimed, second.enqueued) == (0, 1, 0)
    actions = [vars(record).get("action") for record in caplog.records]
    assert actions.count("enqueue_failed") == 1, "logged once"


def test_g20_results_are_held_while_the_database_is_away_and_written_when_it_is_back(make_worker: MakeWorker) -> None:
    worker = make_worker()
    make_run()
    worker.tick(NOW)
    settle(worker)

    for _ in range(3):
        with failing_database(OperationalError("gone")), pytest.raises(OperationalError):
            worker.tick(NOW)
    assert len(worker.recorder) == 1

    assert worker.tick(NOW).recorded == 1
    assert Run.objects.get().status == "success"


def test_g20_the_loop_waits_for_a_database_that_is_away_and_goes_on_by_itself() -> None:
    clock = Monotonic()
    worker = Worker(make_config(), executor=ScriptedExecutor(), monotonic=clock)
    worker.heartbeat.beat()
    make_run(make_schedule(status="paused", next_run_at=None))
    collect, waits = worker.pool.collect, list[float]()

    def sleep(timeout: float) -> list[Finished]:
        if timeout <= 0 or worker.pool.in_flight():
            return collect(min(timeout, SOON))
        clock.pass_seconds(timeout)
        waits.append(timeout)
        if len(waits) == 7:
            worker.stop.request()
        return []

    setattr(worker.pool, "collect", sleep)  # noqa: B010 - mypy takes no assignment to a method
    with failing_database(OperationalError("gone"), when=lambda _: len(waits) < 6):
        assert worker.run() == 0
    assert waits[:6] == [0.5, 1, 2, 4, 5, 5]
    assert Run.objects.get().status == "success"


def test_g23_results_that_can_not_be_written_stop_the_claims(make_worker: MakeWorker) -> None:
    worker = make_worker(seats=2)
    for _ in range(9):
        make_run()
    claims = []

    with failing_database(OperationalError(), when=lambda sql: 'UPDATE "runs_attempt"' in sql):
        for _ in range(4):
            before = Run.objects.filter(status="running").count()
            with suppress(OperationalError):
                worker.tick(NOW)
            claims.append(Run.objects.filter(status="running").count() - before)
            settle(worker, calls=claims[-1])

    assert claims == [2, 2, 0, 0]


def test_a_claim_whose_commit_was_not_confirmed_is_handed_back_and_made_again(make_worker: MakeWorker) -> None:
    executor = ScriptedExecutor()
    worker = make_worker(executor)
    make_run()

    with losing_the_answer_to_the_commit_of("runs_attempt"), pytest.raises(OperationalError):
        worker.tick(NOW)
    assert Run.objects.get().status == "running"
    assert worker.pool.in_flight() == frozenset()

    worker.tick(NOW)
    settle(worker)
    worker.tick(NOW)

    run = Run.objects.get()
    assert (run.status, run.attempt_count) == ("success", 1)
    assert len(executor.requests) == 1


def test_a_chore_that_fails_does_not_stop_the_tick(make_worker: MakeWorker) -> None:
    def fail(*, now: datetime) -> int:
        raise ZeroDivisionError

    worker = make_worker(chores=(Chore("tidy", fail),), lease_seconds=0.000_003)
    make_run()
    assert worker.tick(NOW).maintained == 0


# --- run --------------------------------------------------------------------------------------------------


def due_now(**fields: Any) -> Schedule:
    """A schedule that is due on the real clock, hourly."""
    now = database_now()
    values = {"interval_seconds": 3600, "started_at": now - timedelta(hours=1), "next_run_at": now}
    return make_schedule(**{**values, **fields})


def test_once_does_one_tick_and_its_calls_and_leaves_no_trace_of_the_worker(make_worker: MakeWorker) -> None:
    worker = make_worker(mode=RunMode.ONCE, beat=False)
    due_now()

    assert worker.run() == 0

    assert Run.objects.get().status == "success"
    assert not WorkerProcess.objects.exists()


def test_once_leaves_what_has_no_seat(make_worker: MakeWorker) -> None:
    for _ in range(5):
        due_now()
    assert make_worker(mode=RunMode.ONCE, seats=2, beat=False).run() == 0
    assert sorted(Run.objects.values_list("status", flat=True)) == ["pending"] * 3 + ["success"] * 2


def test_drain_goes_on_until_nothing_is_ready(make_worker: MakeWorker) -> None:
    for _ in range(7):
        due_now()
    assert make_worker(mode=RunMode.DRAIN, seats=2, beat=False).run() == 0
    assert list(Run.objects.values_list("status", flat=True)) == ["success"] * 7


@pytest.mark.parametrize("mode", [RunMode.ONCE, RunMode.DRAIN])
def test_a_bounded_run_does_not_end_because_its_lease_was_in_doubt(
    make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch, mode: RunMode
) -> None:
    due_now()
    worker = make_worker(mode=mode, poll_seconds=0.02, beat=False)
    doubts = iter([False, False])
    monkeypatch.setattr(worker.heartbeat, "trusted", lambda: next(doubts, True))

    assert worker.run() == 0

    assert Run.objects.get().status == "success"


def test_drain_does_not_wait_for_what_is_due_later(make_worker: MakeWorker) -> None:
    due_now(retry_delay_seconds=3600)
    assert make_worker(ScriptedExecutor(UNAVAILABLE), mode=RunMode.DRAIN, beat=False).run() == 0
    assert Run.objects.get().status == "retrying"


def test_drain_waits_for_calls_in_flight_because_they_may_have_to_be_repeated(make_worker: MakeWorker) -> None:
    due_now(max_retries=1, retry_delay_seconds=0)
    executor = ScriptedExecutor(UNAVAILABLE, gate_open=False)
    threading.Timer(0.15, executor.open_gate).start()

    assert make_worker(executor, mode=RunMode.DRAIN, poll_seconds=0.02, beat=False).run() == 0

    run = Run.objects.get()
    assert (run.status, run.attempt_count) == ("failed", 2)


@pytest.mark.parametrize("mode", [RunMode.ONCE, RunMode.DRAIN])
def test_a_bounded_run_fails_when_the_database_is_away(make_worker: MakeWorker, mode: RunMode) -> None:
    worker = make_worker(mode=mode, beat=False)
    with failing_database(OperationalError()):
        assert worker.run() == 1


def test_a_bounded_run_fails_when_a_step_fails(make_worker: MakeWorker) -> None:
    worker = make_worker(mode=RunMode.ONCE, beat=False)
    with failing_database(ZeroDivisionError(), when=lambda sql: "LIMIT 100" in sql):
        assert worker.run() == 1


def stop_when_begun(worker: Worker, executor: ScriptedExecutor, then: Callable[[], None]) -> threading.Thread:
    """From another thread, as a signal would: stop once the first call is under way."""

    def stop() -> None:
        executor.begun.acquire(timeout=SOON)
        worker.stop.request()
        then()

    thread = threading.Thread(target=stop)
    thread.start()
    return thread


def test_g19_a_stop_lets_the_call_in_flight_end_and_records_it(make_worker: MakeWorker) -> None:
    executor = ScriptedExecutor(gate_open=False)
    worker = make_worker(executor, beat=False)
    due_now()
    thread = stop_when_begun(worker, executor, executor.open_gate)

    assert worker.run() == 0
    thread.join()

    assert Run.objects.get().status == "success"
    assert not WorkerProcess.objects.exists()


def test_g19_a_call_longer_than_the_drain_time_is_left_to_rescue(make_worker: MakeWorker) -> None:
    executor = ScriptedExecutor(gate_open=False)
    worker = make_worker(executor, beat=False, drain_seconds=0)
    due_now()
    thread = stop_when_begun(worker, executor, lambda: None)

    assert worker.run() == 0
    thread.join()

    assert Run.objects.get().status == "running"
    assert WorkerProcess.objects.exists(), "its lease keeps the call from being repeated at once"
    executor.open_gate()


def test_a_stop_ends_the_sleep_at_once(make_worker: MakeWorker) -> None:
    worker = make_worker(beat=False, poll_seconds=60, lease_seconds=600)
    timer = threading.Timer(0.05, worker.stop.request)
    timer.start()

    assert worker.run() == 0
    timer.join()
