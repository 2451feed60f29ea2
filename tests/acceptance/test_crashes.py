"""Workers that die, stop and come back: nothing lost, nothing doubled."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest

from runs.models import Attempt, Run
from schedules.clock import database_now
from schedules.models import Schedule
from tests.acceptance.conftest import PATIENCE_SECONDS, Workers, call, ended, wait_until
from tests.factories import make_schedule, make_target
from tests.http_target import RecordingTarget
from worker.models import WorkerProcess

pytestmark = pytest.mark.django_db(transaction=True)


def every_second(url: str, count: int = 1, **fields: object) -> list[Schedule]:
    """Schedules that fire each second from now on, and run every tick that they missed."""
    now = database_now()
    target = make_target(url=url)
    policies = {"catch_up": "all", "overlap_policy": "allow", "misfire_grace_seconds": 3600}
    return [
        make_schedule(
            target,
            interval_seconds=1,
            started_at=now,
            next_run_at=now + timedelta(seconds=1),
            **{**policies, **fields},
        )
        for _ in range(count)
    ]


def assert_each_nominal_time_ran_once(schedules: list[Schedule], target: RecordingTarget) -> None:
    for schedule in schedules:
        times = list(schedule.runs.order_by("scheduled_at").values_list("scheduled_at", flat=True))
        wanted = [schedule.started_at + timedelta(seconds=number + 1) for number in range(len(times))]
        assert times == wanted
    sent = Counter(seen.key for seen in target.calls())
    attempts = Counter(str(run_id) for run_id in Attempt.objects.values_list("run_id", flat=True))
    assert all(sent[key] <= attempts[key] for key in sent)
    # A call is repeated only where a worker was lost.
    repeated = {UUID(key) for key, count in sent.items() if count > 1}
    assert repeated <= set(Attempt.objects.filter(error_type="worker_lost").values_list("run_id", flat=True))


def finish(workers: Workers, schedules: list[Schedule]) -> None:
    """Stop new ticks and let a worker end what exists."""
    Schedule.objects.filter(id__in=[schedule.id for schedule in schedules]).update(status="paused", next_run_at=None)
    wait_until(lambda: not Run.objects.all().active().exists(), "all runs end")


def test_a_call_cut_off_by_kill_9_is_sent_again_where_that_is_allowed(
    workers: Workers, target: RecordingTarget
) -> None:
    run = call(target.url("/held"), on_worker_lost="retry", retry_delay_seconds=0.1)
    first = workers.start()
    target.wait_for(1)
    workers.kill(first)
    target.release()
    workers.start()
    run = ended(run)
    errors = list(run.attempts.values_list("error_type", flat=True))
    assert (run.status, errors) == ("success", ["worker_lost", "none"])
    assert [seen.key for seen in target.calls()] == [str(run.id)] * 2


def test_a_call_cut_off_by_kill_9_is_never_sent_again_where_that_is_forbidden(
    workers: Workers, target: RecordingTarget
) -> None:
    run = call(target.url("/held"), on_worker_lost="fail")
    first = workers.start()
    target.wait_for(1)
    workers.kill(first)
    target.release()
    workers.start()
    run = ended(run)
    assert (run.status, run.final_error_type, len(target.calls())) == ("failed", "worker_lost", 1)


def test_a_retry_survives_the_worker_that_decided_it(workers: Workers, target: RecordingTarget) -> None:
    run = call(target.url("/status/500"), max_retries=1, retry_delay_seconds=3600)
    first = workers.start()
    wait_until(lambda: Run.objects.get(id=run.id).status == "retrying", "the first attempt is recorded")
    workers.kill(first)
    # An hour passes.
    Run.objects.filter(id=run.id).update(next_attempt_at=database_now())
    workers.start()
    run = ended(run)
    assert (run.attempt_count, len(target.calls())) == (2, 2)


def test_sigterm_lets_a_call_finish_and_leaves_nothing_behind(workers: Workers, target: RecordingTarget) -> None:
    run = call(target.url("/held"))
    worker = workers.start()
    target.wait_for(1)
    worker.terminate()
    wait_until(WorkerProcess.objects.filter(draining=True).exists, "the worker drains")
    target.release()
    assert worker.wait(PATIENCE_SECONDS) == 0
    assert Run.objects.get(id=run.id).status == "success"
    assert not WorkerProcess.objects.exists()


def test_restarts_lose_and_double_nothing(workers: Workers, target: RecordingTarget) -> None:
    schedules = every_second(target.url("/"), count=5)
    for stop in (workers.kill, workers.stop, workers.kill):
        seen = len(target.calls())
        worker = workers.start()
        target.wait_for(seen + 10, seconds=30)
        stop(worker)
    workers.start()
    finish(workers, schedules)
    assert_each_nominal_time_ran_once(schedules, target)
    assert set(Run.objects.values_list("status", flat=True)) == {"success"}


@pytest.mark.postgres_only
def test_two_workers_share_the_work_and_never_fire_twice(workers: Workers, target: RecordingTarget) -> None:
    schedules = every_second(target.url("/"), count=30)
    workers.start("--concurrency=10")
    workers.start("--concurrency=10")
    target.wait_for(30 * 5, seconds=60)
    finish(workers, schedules)
    assert_each_nominal_time_ran_once(schedules, target)
    assert set(Counter(seen.key for seen in target.calls()).values()) == {1}
    assert Attempt.objects.values("worker_id").distinct().count() == 2


@pytest.mark.postgres_only
def test_the_death_of_one_of_two_workers_loses_nothing(workers: Workers, target: RecordingTarget) -> None:
    schedules = every_second(target.url("/slow?seconds=0.3"), count=10)
    doomed = workers.start()
    workers.start()
    target.wait_for(30, seconds=60)
    workers.kill(doomed)
    seen = len(target.calls())
    target.wait_for(seen + 20, seconds=60)
    finish(workers, schedules)
    assert_each_nominal_time_ran_once(schedules, target)


def test_once_makes_what_is_due_and_ends(workers: Workers, target: RecordingTarget) -> None:
    run = call(target.url("/"))
    worker = workers.start("--once")
    assert worker.wait(60) == 0
    assert (Run.objects.get(id=run.id).status, len(target.calls())) == ("success", 1)


def test_drain_goes_on_until_nothing_is_due(workers: Workers, target: RecordingTarget) -> None:
    runs = [call(target.url("/")) for _ in range(25)]
    worker = workers.start("--drain", "--concurrency=3")
    assert worker.wait(60) == 0
    assert Run.objects.filter(status="success").count() == len(runs) == len(target.calls())


def test_the_worker_sleeps_until_the_next_due_time_and_not_until_the_poll(
    workers: Workers, target: RecordingTarget
) -> None:
    every_second(target.url("/"))
    workers.start(WORKER_POLL_SECONDS="60", WORKER_LEASE_SECONDS="300")
    # By polls alone the third call would come after two minutes.
    target.wait_for(3, seconds=60)
