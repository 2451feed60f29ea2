"""Guarantees G16 and G20: a real PostgreSQL server that stops under real workers, for longer than their lease."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db import connection

from runs.models import Attempt, Run
from schedules.clock import database_now
from tests.acceptance.conftest import PATIENCE_SECONDS, Workers, call, ended, wait_until
from tests.factories import make_schedule, make_target
from tests.http_target import RecordingTarget
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.postgres_only

# Long enough that a machine which halts for a moment makes nobody look dead.
LEASE_SECONDS = 6


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
    during = call(target.url("/slow?seconds=1"), on_worker_lost="fail")
    beyond = call(target.url("/slow?seconds=8"), target_fields={"timeout_seconds": 60}, on_worker_lost="fail")
    first, second = (stoppable.start(WORKER_LEASE_SECONDS=str(LEASE_SECONDS)) for _ in range(2))
    target.wait_for(2, path="/slow", seconds=PATIENCE_SECONDS)
    target.wait_for(1, path="/tick", seconds=PATIENCE_SECONDS)

    own_server.stop()
    wait_until(lambda: logs_have(stoppable, "action=database_away"), "both workers notice")
    time.sleep(2 * LEASE_SECONDS)
    seen = len(target.calls())
    time.sleep(1)
    assert len(target.calls()) == seen, "without a lease and without a database nothing is sent"
    assert (first.poll(), second.poll()) == (None, None)
    start_again(own_server)

    for run in (during, beyond):
        assert (ended(run).status, run.attempts.get().error_type) == ("success", "none")
    wait_until(lambda: logs_have(stoppable, "action=database_back"), "both workers recover by themselves")
    assert ended(call(target.url("/later"))).status == "success"
    # A reaper that takes the others' silence for death would have shown by now, or within a further lease.
    time.sleep(LEASE_SECONDS)
    assert not Attempt.objects.filter(error_type="worker_lost").exists()
    assert not Attempt.objects.filter(fenced=True).exists()
    assert "workers_lost" not in stoppable.log(0) + stoppable.log(1)
    assert [stoppable.stop(first), stoppable.stop(second)] == [0, 0]
    keys = [seen.key for seen in target.calls()]
    assert len(keys) == len(set(keys)) == Run.objects.filter(status="success").count()


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
