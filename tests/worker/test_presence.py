"""The worker's row, and who counts as live."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from tests.factories import NOW
from worker.models import ProcessKind, WorkerProcess
from worker.presence import deregister, live_and_stale, register, renew

pytestmark = pytest.mark.django_db


def make_worker(kind: ProcessKind = ProcessKind.WORKER) -> UUID:
    """Registered at NOW with a lease of 30 s."""
    worker_id = uuid4()
    register(worker_id=worker_id, kind=kind, seats=1, lease_seconds=30, now=NOW)
    return worker_id


def test_a_worker_is_live_until_its_lease_ends_and_stale_after() -> None:
    make_worker()
    assert live_and_stale(NOW + timedelta(seconds=30)) == (1, 0)
    assert live_and_stale(NOW + timedelta(seconds=31)) == (0, 1)


def test_a_web_process_in_a_test_call_is_no_worker() -> None:
    make_worker(ProcessKind.WEB)
    assert live_and_stale(NOW) == (0, 0)


def test_renewing_extends_the_lease_of_that_worker_only() -> None:
    renewed, other = make_worker(), make_worker()
    later = NOW + timedelta(seconds=10)

    assert renew(worker_id=renewed, lease_seconds=30, draining=False, now=later)

    leases = dict(WorkerProcess.objects.values_list("id", "lease_until"))
    assert leases == {renewed: later + timedelta(seconds=30), other: NOW + timedelta(seconds=30)}


def test_renewing_a_row_that_is_gone_says_so() -> None:
    worker_id = make_worker()
    deregister(worker_id=worker_id)
    assert not renew(worker_id=worker_id, lease_seconds=30, draining=False, now=NOW)


def test_deregistering_twice_is_harmless() -> None:
    worker_id = make_worker()
    deregister(worker_id=worker_id)
    deregister(worker_id=worker_id)
    assert not WorkerProcess.objects.exists()
