"""The worker's row: registered, renewed and removed here, and counted for health and metrics."""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, Q

from worker.models import ProcessKind, WorkerProcess


def register(*, worker_id: UUID, kind: ProcessKind, seats: int, lease_seconds: float, now: datetime) -> None:
    """Say that this process is alive and may hold Runs under `worker_id` until the lease ends."""
    WorkerProcess.objects.create(
        id=worker_id,
        kind=kind,
        hostname=socket.gethostname()[:255],
        pid=os.getpid(),
        seats=seats,
        started_at=now,
        last_seen_at=now,
        lease_until=now + timedelta(seconds=lease_seconds),
    )


def renew(*, worker_id: UUID, lease_seconds: float, draining: bool, now: datetime) -> bool:
    """Extend the lease; False where the row is gone, which means that this worker was declared dead."""
    updated = WorkerProcess.objects.filter(id=worker_id).update(
        last_seen_at=now, lease_until=now + timedelta(seconds=lease_seconds), draining=draining
    )
    return updated == 1


def deregister(*, worker_id: UUID) -> None:
    """Remove the row. Whatever the worker still holds is then an orphan."""
    WorkerProcess.objects.filter(id=worker_id).delete()


def live_and_stale(now: datetime) -> tuple[int, int]:
    """How many workers hold a valid lease, and how many let theirs run out and were not cleared away yet."""
    live = Q(lease_until__gte=now)
    counts = WorkerProcess.objects.filter(kind=ProcessKind.WORKER).aggregate(
        live=Count("id", filter=live), stale=Count("id", filter=~live)
    )
    return counts["live"], counts["stale"]
