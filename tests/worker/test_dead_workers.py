"""Dead workers are found, their Runs resolved, their rows removed; the living are left alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from runs.claim import claim_ready
from runs.models import Attempt, Run
from tests.factories import NOW, make_run, make_schedule
from worker.dead_workers import rescue_dead_workers
from worker.models import ProcessKind, WorkerProcess
from worker.presence import deregister, register
from worker.seats import Seats

LEASE = 30
LATER = NOW + timedelta(seconds=LEASE + 1)

pytestmark = pytest.mark.django_db


def make_worker(*, kind: ProcessKind = ProcessKind.WORKER, lease: float = LEASE) -> UUID:
    """Registered at NOW."""
    worker_id = uuid4()
    register(worker_id=worker_id, kind=kind, seats=10, lease_seconds=lease, now=NOW)
    return worker_id


def claim_by(worker_id: UUID, runs: int = 1) -> list[UUID]:
    """Runs that the worker holds."""
    for _ in range(runs):
        make_run(make_schedule(overlap_policy="allow"))
    return [ticket.run_id for ticket in claim_ready(now=NOW, worker_id=worker_id, seats=Seats(100))]


def statuses(ids: list[UUID]) -> set[str]:
    """Where the Runs are in their lives."""
    return set(Run.objects.filter(id__in=ids).values_list("status", flat=True))


def test_g15_the_runs_of_a_worker_whose_lease_ran_out_are_resolved_and_its_row_goes() -> None:
    held = claim_by(make_worker())

    assert rescue_dead_workers(now=LATER) == 1

    assert statuses(held) == {"retrying"}
    assert Attempt.objects.get().error_type == "worker_lost"
    assert not WorkerProcess.objects.exists()


def test_g18_a_worker_without_a_row_is_dead() -> None:
    worker_id = make_worker()
    held = claim_by(worker_id)
    deregister(worker_id=worker_id)

    assert rescue_dead_workers(now=NOW) == 1
    assert statuses(held) == {"retrying"}


def test_a_worker_with_a_lease_keeps_its_runs() -> None:
    held = claim_by(make_worker(lease=60))

    assert rescue_dead_workers(now=LATER) == 0
    assert statuses(held) == {"running"}
    assert WorkerProcess.objects.count() == 1


def test_the_dead_are_told_from_the_living() -> None:
    dead, living = claim_by(make_worker()), claim_by(make_worker(lease=60))

    assert rescue_dead_workers(now=LATER) == 1
    assert (statuses(dead), statuses(living)) == ({"retrying"}, {"running"})


def test_the_row_of_a_dead_worker_that_holds_nothing_goes_too() -> None:
    make_worker()
    assert rescue_dead_workers(now=LATER) == 0
    assert not WorkerProcess.objects.exists()


def test_a_test_call_of_a_web_process_that_died_is_resolved() -> None:
    held = claim_by(make_worker(kind=ProcessKind.WEB))
    assert rescue_dead_workers(now=LATER) == 1
    assert statuses(held) == {"retrying"}


def test_a_full_batch_leaves_the_row_until_nothing_is_left() -> None:
    held = claim_by(make_worker(), runs=3)

    assert rescue_dead_workers(now=LATER, limit=2) == 2
    assert WorkerProcess.objects.exists()
    assert rescue_dead_workers(now=LATER, limit=2) == 1
    assert not WorkerProcess.objects.exists()
    assert statuses(held) == {"retrying"}


def test_nothing_to_do_is_nothing_done() -> None:
    assert rescue_dead_workers(now=NOW) == 0


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_a_worker_whose_row_is_locked_is_passed_over(other_connection: psycopg.Connection[Any]) -> None:
    """A heartbeat that is being written, or another worker's rescue."""
    worker_id = make_worker()
    held = claim_by(worker_id)
    other_connection.execute("SELECT 1 FROM worker_workerprocess WHERE id = %s FOR UPDATE", [worker_id])

    assert rescue_dead_workers(now=LATER) == 0

    assert statuses(held) == {"running"}
    assert WorkerProcess.objects.exists()
