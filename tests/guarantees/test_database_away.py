"""Guarantees G16 and G20: a real PostgreSQL server that stops under real workers, for longer than their lease."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest
from django.db import connection

from runs.models import Attempt, Run
from schedules.clock import database_now
from tests.acceptance.conftest import Workers, call, ended, wait_until
from tests.factories import make_schedule, make_target
from tests.http_target import RecordingTarget
from tests.postgres_server import PostgresServer
from worker.models import WorkerProcess

pytestmark = pytest.mark.postgres_only

# Long enough that a machine which halts for a moment makes nobody look dead.
LEASE_SECONDS = 5


def start_again(server: PostgresServer) -> None:
    """For this process, too, everything that it had connected is gone."""
    server.start()
    connection.close()


def logs_have(workers: Workers, word: str) -> bool:
    """Whether each worker has logged the word."""
    return all(word in workers.log(number) for number in range(len(workers.started)))


def test_g16_and_g20_workers_outlive_an_outage_and_take_no_run_from_each_other(
    stoppable: Workers, own_server: PostgresServer, target: RecordingTarget
) -> None:
    now = database_now()
    make_schedule(
        make_target(url=target.url("/tick")), interval_seconds=1, started_at=now, next_run_at=now + timedelta(seconds=1)
    )
    with RecordingTarget() as slower:
        during = call(target.url("/held"), on_worker_lost="fail")
        beyond = call(slower.url("/held"), target_fields={"timeout_seconds": 120}, on_worker_lost="fail")
        first, second = (stoppable.start(WORKER_LEASE_SECONDS=str(LEASE_SECONDS)) for _ in range(2))
        target.wait_for(1, path="/held")
        slower.wait_for(1, path="/held")
        target.wait_for(1, path="/tick")
        wait_until(lambda: WorkerProcess.objects.count() == 2, "both workers have registered")

        own_server.stop()
        stopped = time.monotonic()
        wait_until(lambda: logs_have(stoppable, "action=database_away"), "both workers notice")
        target.release()
        wait_until(lambda: time.monotonic() > stopped + LEASE_SECONDS + 1, "every lease has run out")
        late = [seen for seen in target.calls() + slower.calls() if seen.at > stopped + LEASE_SECONDS]
        assert late == [], "without a lease and without a database nothing is sent"
        assert (first.poll(), second.poll()) == (None, None)
        start_again(own_server)
        back = database_now()

        assert (ended(during).status, during.attempts.get().error_type) == ("success", "none")
        slower.release()
    assert (ended(beyond).status, beyond.attempts.get().error_type) == ("success", "none")
    wait_until(lambda: logs_have(stoppable, "action=database_back"), "both workers recover by themselves")
    assert ended(call(target.url("/later"))).status == "success"
    # A reaper that takes the others' silence for death shows at its first look, two heartbeats later at the latest.
    wait_until(lambda: all_have_beaten_since(back + timedelta(seconds=LEASE_SECONDS * 2 / 3)), "both beat on")
    assert not Attempt.objects.filter(error_type="worker_lost").exists()
    assert not Attempt.objects.filter(fenced=True).exists()
    assert "workers_lost" not in stoppable.log(0) + stoppable.log(1)
    assert [stoppable.stop(first), stoppable.stop(second)] == [0, 0]
    keys = [seen.key for seen in target.calls() + slower.calls()]
    assert len(keys) == len(set(keys)) == Run.objects.filter(status="success").count()


def all_have_beaten_since(moment: datetime) -> bool:
    """Whether both workers have renewed their leases at that time of the database's, or later."""
    return WorkerProcess.objects.filter(last_seen_at__gte=moment).count() == 2


def test_g20_a_worker_that_starts_while_the_database_is_away_waits_for_it(
    stoppable: Workers, own_server: PostgresServer, target: RecordingTarget
) -> None:
    run = call(target.url("/"))
    own_server.stop()
    worker = stoppable.start()
    wait_until(lambda: "action=database_away" in stoppable.log(), "it notices")
    start_again(own_server)
    assert ended(run).status == "success"
    assert stoppable.stop(worker) == 0
