"""Resolving at once what dead workers hold, for an operator who won't wait for a live worker."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from django.conf import settings

from scheduler_project.doctor.findings import Finding, ok
from schedules.clock import database_now
from targets.counted import counted
from worker.dead_workers import rescue_dead_workers
from worker.heartbeat import RETRY_SECONDS
from worker.models import WorkerProcess

BATCH = 100


def reap(*, say: Callable[[str], None], sleep: Callable[[float], None]) -> Finding:
    """Resolve the Runs of dead workers, after making sure that they are dead.

    A lease may have run out because the database was away, and not the worker. A worker that lives beats again within
    a heartbeat; so whoever has not done so after one is dead (guarantee G16, as an operator's command can keep it).
    """
    dead = _dead(database_now())
    if dead:
        seconds = settings.WORKER_LEASE_SECONDS / 3 + 2 * RETRY_SECONDS
        say(f"Waiting {seconds:.0f} s to be sure that {counted(len(dead), 'worker')} can't come back ...")
        sleep(seconds)
    resolved = 0
    while True:
        batch = rescue_dead_workers(now=database_now(), limit=BATCH)
        resolved += batch
        if batch < BATCH:
            break
    gone = len(dead) - WorkerProcess.objects.filter(id__in=dead).count()
    return ok("reap", f"{counted(resolved, 'run')} resolved, {counted(gone, 'dead worker')} removed.")


def _dead(now: datetime) -> list[UUID]:
    return list(WorkerProcess.objects.filter(lease_until__lt=now).values_list("id", flat=True))
