"""Dead workers: whose lease has run out or whose row is gone. Their Runs are resolved, then their rows go."""

from __future__ import annotations

import logging
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet

from runs.models import Run
from runs.rescue import rescue_orphans
from targets.counted import counted
from worker.models import WorkerProcess

logger = logging.getLogger(__name__)


def rescue_dead_workers(*, now: datetime, limit: int = 100) -> int:
    """Resolve up to `limit` Runs of dead workers, and remove the rows of those that hold none any more.

    Test calls of a web process that died are among them. Only for a caller whose own heartbeat has succeeded for a
    full lease: otherwise the silence of the others may be the database's.

    Args:
        now: the database's time.

    Returns:
        How many Runs were resolved; fewer than `limit` means that none is left.
    """
    suspects = _suspects(now)
    if not suspects:
        return 0
    with transaction.atomic():
        dead = _confirmed(suspects, now)
        resolved = rescue_orphans(dead, now=now, limit=limit)
        if resolved < limit:
            WorkerProcess.objects.filter(id__in=dead).delete()
    if dead:
        logger.warning(
            "%s found, %s of theirs resolved",
            counted(len(dead), "dead worker"),
            counted(resolved, "run"),
            extra={"action": "workers_lost", "workers": ",".join(sorted(map(str, dead))), "runs": resolved},
        )
    return resolved


def _suspects(now: datetime) -> set[UUID]:
    # 1. Who holds Runs. 2. Who is alive. The other way round, a worker that registers and claims in between would
    # hold Runs without being among the living.
    holders = Run.with_deleted.holders()
    leases = dict(WorkerProcess.objects.values_list("id", "lease_until"))
    return {worker for worker in holders | leases.keys() if worker not in leases or leases[worker] < now}


def _confirmed(suspects: set[UUID], now: datetime) -> set[UUID]:
    """Those of the suspects that are dead for good, their rows locked: a late heartbeat waits, and finds no row.

    A row that another transaction has locked is passed over: that is a heartbeat, or another worker's rescue.
    """
    rows = WorkerProcess.objects.filter(id__in=suspects)
    locked = {row.id for row in _locked(rows.filter(lease_until__lt=now).order_by("id"))}
    present = set(rows.values_list("id", flat=True))
    return locked | (suspects - present)


def _locked(rows: QuerySet[WorkerProcess]) -> QuerySet[WorkerProcess]:
    # SQLite has no row locks; there the IMMEDIATE transaction lets one writer in at a time.
    if connection.features.has_select_for_update_skip_locked:
        return rows.select_for_update(skip_locked=True)
    return rows
