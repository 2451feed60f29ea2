"""Guarantees G6, G17, G18, G19, G21, G22 and G23: real worker processes, frozen, skewed, stopped and overloaded."""

from __future__ import annotations

import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import transaction

from runs.batch_update import insert_rows
from runs.identity import new_run_id
from runs.models import Attempt, Run
from schedules.clock import database_now
from schedules.models import Schedule
from targets.models import Target
from tests.acceptance.conftest import PATIENCE_SECONDS, Workers, call, ended, wait_until
from tests.factories import make_schedule, make_target
from tests.guarantees.test_on_time import waiting
from tests.http_target import RecordingTarget
from worker.models import WorkerProcess

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = 3600


def every_second(target: Target, count: int) -> list[Schedule]:
    """Schedules that fire each second from the next one on."""
    now = database_now()
    timing = {"interval_seconds": 1, "started_at": now, "next_run_at": now + timedelta(seconds=1)}
    policy = {"overlap_policy": "allow", "catch_up": "all", "misfire_grace_seconds": HOUR}
    return [make_schedule(target, **timing, **policy) for _ in range(count)]


def is_stopped(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process has been frozen by SIGSTOP."""
    return "\nState:\tT" in Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")


def test_g6_runs_start_at_their_time_and_not_at_the_next_poll(workers: Workers, target: RecordingTarget) -> None:
    every_second(make_target(url=target.url("/")), 10)
    workers.start(WORKER_POLL_SECONDS="60", WORKER_LEASE_SECONDS="300")
    wait_until(WorkerProcess.objects.exists, "the worker has registered")
    begun = WorkerProcess.objects.get().started_at
    # What was due before had to wait for the process to start; what comes after has no poll to wait for.
    later = Attempt.objects.filter(run__scheduled_at__gt=begun + timedelta(seconds=1))
    wait_until(lambda: later.count() >= 50, "the next five seconds' runs begin")
    assert all(attempt.started_at < begun + timedelta(seconds=60) for attempt in later[:50])


def test_g6_a_retry_starts_when_it_is_due_and_not_at_the_next_poll(workers: Workers, target: RecordingTarget) -> None:
    call(target.url("/status/503"), max_retries=2, retry_delay_seconds=0.5)
    workers.start(WORKER_POLL_SECONDS="60", WORKER_LEASE_SECONDS="300")
    # By polls alone the third attempt would come after two minutes.
    target.wait_for(3, seconds=PATIENCE_SECONDS)


def test_g17_a_worker_frozen_before_it_sends_sends_nothing_after_its_lease(
    workers: Workers, target: RecordingTarget
) -> None:
    run = call(target.url("/"), on_worker_lost="retry", retry_delay_seconds=0.1)
    frozen = workers.start_altered("freeze_before_send")
    wait_until(lambda: is_stopped(frozen), "the worker is frozen with a claimed run")
    workers.start()
    run = ended(run)
    assert (run.status, run.attempt_count, len(target.calls())) == ("success", 2, 1)
    before = list(Attempt.objects.order_by("attempt_number").values())

    frozen.send_signal(signal.SIGCONT)
    wait_until(lambda: "worker_reregistered" in workers.log(), "it has woken and knows that it was given up")
    assert workers.stop(frozen) == 0
    run.refresh_from_db()
    assert (run.status, run.attempt_count, len(target.calls())) == ("success", 2, 1)
    assert list(Attempt.objects.order_by("attempt_number").values()) == before


def test_g18_each_start_has_an_id_of_its_own_and_a_clean_exit_leaves_no_row(workers: Workers) -> None:
    seen = set()
    for _ in range(2):
        worker = workers.start()
        wait_until(WorkerProcess.objects.exists, "the worker has registered")
        seen.add(WorkerProcess.objects.get().id)
        assert workers.stop(worker) == 0
        assert not WorkerProcess.objects.exists()
    assert len(seen) == 2


def test_g18_a_run_of_a_worker_without_a_row_is_an_orphan_at_once(workers: Workers, target: RecordingTarget) -> None:
    run = call(target.url("/held"), on_worker_lost="fail")
    lost = workers.start(WORKER_LEASE_SECONDS="600")
    target.wait_for(1)
    workers.kill(lost)
    WorkerProcess.objects.all().delete()
    workers.start()
    assert ended(run).final_error_type == "worker_lost"


def test_g19_two_signals_at_once_are_one_and_the_call_in_flight_ends_well(
    workers: Workers, target: RecordingTarget
) -> None:
    run = call(target.url("/held"))
    worker = workers.start(WORKER_DRAIN_SECONDS="60")
    target.wait_for(1)
    # While it is stopped they gather; then it gets them all in the same moment.
    for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGCONT):
        worker.send_signal(number)
    wait_until(is_draining, "the worker drains")
    target.release()
    assert worker.wait(PATIENCE_SECONDS) == 0
    assert Run.objects.get(id=run.id).status == "success"
    assert "second signal" not in workers.log()


def test_g19_a_stop_claims_nothing_more(workers: Workers, target: RecordingTarget) -> None:
    first = call(target.url("/held"))
    worker = workers.start("--concurrency=2", WORKER_DRAIN_SECONDS="60")
    target.wait_for(1)
    worker.send_signal(signal.SIGTERM)
    wait_until(is_draining, "the worker drains")
    waiting = call(target.url("/"))
    seen = WorkerProcess.objects.get().last_seen_at
    # A heartbeat or more by its own time: seven polls each.
    wait_until(lambda: WorkerProcess.objects.get().last_seen_at > seen + timedelta(seconds=1), "it beats on")
    target.release()
    assert worker.wait(PATIENCE_SECONDS) == 0
    statuses = dict(Run.objects.values_list("id", "status"))
    assert statuses == {first.id: "success", waiting.id: "pending"}


def is_draining() -> bool:
    """Whether the worker has said that it takes no more work."""
    return WorkerProcess.objects.filter(draining=True).exists()


@pytest.mark.postgres_only
def test_g21_workers_whose_clocks_are_an_hour_wrong_change_nothing(workers: Workers, target: RecordingTarget) -> None:
    """G21: on SQLite the machine's clock is the database's, so this is about PostgreSQL."""
    began = database_now()
    aim = make_target(url=target.url("/"))
    schedules = every_second(aim, 10)
    unwell = call(target.url("/status/503"), max_retries=2, retry_delay_seconds=0.5)
    # Long enough that a machine which halts for a moment makes nobody look dead.
    lease = {"WORKER_LEASE_SECONDS": "30"}
    fast = workers.start_altered(f"skewed:{HOUR}", "--concurrency=2", **lease)
    slow = workers.start_altered(f"skewed:-{HOUR}", "--concurrency=2", **lease)
    wait_until(lambda: len({*Attempt.objects.values_list("worker_id", flat=True)}) == 2, "both make calls")
    wait_until(lambda: Run.objects.filter(status="success").count() > 40, "runs end")
    unwell = ended(unwell)
    assert [workers.stop(fast), workers.stop(slow)] == [0, 0]
    over = database_now()

    logged = [datetime.fromisoformat(workers.log(number).split()[0]) - datetime.now(UTC) for number in (0, 1)]
    assert [round(shift.total_seconds() / HOUR) for shift in logged] == [1, -1], "the clocks really were wrong"
    assert not Attempt.objects.filter(error_type="worker_lost").exists()
    assert {"workers_lost", "worker_reregistered"}.isdisjoint(workers.log(0).split() + workers.log(1).split())
    assert unwell.attempt_count == 3
    for schedule in schedules:
        times = list(schedule.runs.order_by("scheduled_at").values_list("scheduled_at", flat=True))
        assert times == [schedule.started_at + timedelta(seconds=number + 1) for number in range(len(times))]
    for attempt in Attempt.objects.select_related("run"):
        assert attempt.completed_at is not None
        assert began <= attempt.run.scheduled_at <= attempt.started_at <= attempt.completed_at <= over


def test_g22_runs_of_others_start_while_a_frozen_target_holds_its_share(
    workers: Workers, target: RecordingTarget
) -> None:
    frozen = make_target(url=target.url("/held"), timeout_seconds=600)
    flood = make_schedule(frozen, status="paused", next_run_at=None)
    now = database_now()
    Run.objects.bulk_create(waiting(flood, now - timedelta(minutes=1)) for _ in range(200))
    healthy = make_target(url=target.url("/"))
    workers.start("--concurrency=10")
    target.wait_for(8, path="/held")
    every_second(healthy, 2)
    # Without the share they would wait for the time-out of the frozen calls.
    target.wait_for(12, path="/")
    assert len(target.calls("/held")) == 8, "80 % of ten seats"
    assert not Attempt.objects.filter(run__target=frozen, completed_at__isnull=False).exists()


def peak_memory(process: subprocess.Popen[bytes]) -> float:
    """The most memory that the process has ever had, in megabytes."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def pile_up(schedule: Schedule, count: int) -> None:
    """So many runs of the schedule that have been due for a minute."""
    run = waiting(schedule, database_now() - timedelta(minutes=1))
    names = [field.attname for field in Run._meta.concrete_fields if not field.primary_key]
    same = [getattr(run, name) for name in names]
    for batch in (min(500, count - done) for done in range(0, count, 500)):
        insert_rows(Run, ["id", *names], [(new_run_id(run.scheduled_at), *same) for _ in range(batch)])


def test_g23_memory_does_not_grow_with_the_backlog(workers: Workers, target: RecordingTarget) -> None:
    schedule = make_schedule(make_target(url=target.url("/")), status="paused", next_run_at=None)
    peaks = []
    for backlog in (100, 20_000):
        with transaction.atomic():
            pile_up(schedule, backlog)
        seen = len(target.calls())
        worker = workers.start("--concurrency=10")
        target.wait_for(seen + 100, seconds=PATIENCE_SECONDS)
        peaks.append(peak_memory(worker))
        running = Run.objects.filter(status="running").count()
        assert workers.stop(worker) == 0
        # In flight, and finished but not written yet.
        assert running <= 2 * 10
    few, many = peaks
    assert many < few + 10
