"""How one worker process runs: settings and command-line options as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from django.conf import settings


class RunMode(StrEnum):
    """When the worker ends on its own."""

    FOREVER = "forever"
    # One tick, and the calls that it started.
    ONCE = "once"
    # Until nothing is due, ready or in flight.
    DRAIN = "drain"


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """Times are in seconds; `seats` is how many calls the process makes at once."""

    poll_seconds: float
    lease_seconds: float
    drain_seconds: float
    seats: int
    mode: RunMode = RunMode.FOREVER
    # At once, in this process; None is no limit.
    calls_per_host: int | None = None

    @property
    def heartbeat_seconds(self) -> float:
        """Between heartbeats, between looks for dead workers, and between chores: two may fail, the third renews."""
        return self.lease_seconds / 3


def worker_config(*, seats: int | None = None, mode: RunMode = RunMode.FOREVER) -> WorkerConfig:
    """The configuration that the settings ask for; `seats` overrides MAX_CONCURRENT_JOBS."""
    return WorkerConfig(
        poll_seconds=settings.WORKER_POLL_SECONDS,
        lease_seconds=settings.WORKER_LEASE_SECONDS,
        drain_seconds=settings.WORKER_DRAIN_SECONDS,
        seats=seats or settings.MAX_CONCURRENT_JOBS,
        mode=mode,
        calls_per_host=settings.MAX_CALLS_PER_HOST or None,
    )
