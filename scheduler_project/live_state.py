"""What the service is doing right now, put together from the queue and the workers: for metrics, health, dashboard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from runs.metrics import HourOfRuns, Queue, read_last_hours, read_queue
from schedules.clock import database_now
from worker.presence import live_and_stale


@dataclass(frozen=True, slots=True)
class Workers:
    """How many worker processes hold a valid lease, and how many let theirs run out."""

    live: int
    stale: int


@dataclass(frozen=True, slots=True)
class LiveState:
    """Queue and workers at one moment of the database's clock."""

    queue: Queue
    workers: Workers


@dataclass(frozen=True, slots=True)
class Dashboard:
    """What the first page of the admin site shows above the lists. `hours`: the last 24, oldest first."""

    hours: list[HourOfRuns]
    queue: Queue
    workers: Workers


def read_workers(now: datetime) -> Workers:
    """The workers at `now`, the database's time."""
    live, stale = live_and_stale(now)
    return Workers(live=live, stale=stale)


def read_live_state() -> LiveState:
    """Queue and workers now.

    Raises:
        django.db.Error: the database doesn't answer, or isn't migrated.
    """
    now = database_now()
    return LiveState(queue=read_queue(now), workers=read_workers(now))


def read_dashboard(now: datetime) -> Dashboard:
    """The numbers of the dashboard at `now`, the database's time."""
    return Dashboard(hours=read_last_hours(now), queue=read_queue(now), workers=read_workers(now))
