"""One call to a target, now, from a process that is no worker: the web process of POST /targets/{id}/test."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from uuid import UUID

from runs.outcome import Outcome
from runs.record import record_results
from runs.services import open_test_run
from runs.tickets import Result
from schedules.clock import database_now
from targets.egress_settings import egress_policy
from targets.models import Target
from targets.request_draft import Sendable
from worker.executor import Executor
from worker.models import ProcessKind, WorkerProcess

# What an attempt may take beyond its deadline, recording included, before the worker gives it up.
LEASE_MARGIN = timedelta(seconds=30)


def call_target_once(*, target_id: UUID) -> UUID:
    """Make a test call and record it like any attempt; takes as long as the target's timeout allows.

    If this process dies meanwhile, the worker resolves the Run once the lease has run out.

    Returns:
        The id of the Run.

    Raises:
        Target.DoesNotExist: there is none, or it is deleted.
    """
    target = Target.objects.get(pk=target_id)
    with _lease(timedelta(seconds=target.timeout_seconds)) as holder:
        started_at = database_now()
        ticket = open_test_run(target_id=target_id, worker_id=holder, now=started_at)
        request = ticket.request
        outcome = request if isinstance(request, Outcome) else _execute(request)
        now = database_now()
        record_results([Result(ticket, outcome, started_at, now)], now=now)
    return ticket.run_id


@contextmanager
def _lease(longest: timedelta) -> Iterator[UUID]:
    """Be on the list of processes that hold Runs, for the length of one call."""
    now = database_now()
    process = WorkerProcess.objects.create(
        kind=ProcessKind.WEB,
        hostname=socket.gethostname()[:255],
        pid=os.getpid(),
        seats=1,
        started_at=now,
        last_seen_at=now,
        lease_until=now + longest + LEASE_MARGIN,
    )
    try:
        yield process.id
    finally:
        process.delete()


def _execute(request: Sendable) -> Outcome:
    # An executor of its own: test calls are rare, and a web process should keep no connections to targets open.
    with closing(Executor(egress_policy(), threads=1)) as executor:
        return executor.execute(request)
