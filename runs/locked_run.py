"""A locked Run as the ticks read it: the columns that they need, its schedule's and target's among them, in one row."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from runs.models import Run
from runs.row_fetch import RepeatedQuery


class LivingRun(Protocol):
    """What a step in a Run's life must know of it: an instance of `Run` does, and so does a `LockedRun`."""

    @property
    def id(self) -> UUID:
        """The Run."""

    @property
    def schedule_id(self) -> UUID | None:
        """None for a test call and its replay."""

    @property
    def status(self) -> str:
        """A value of `RunStatus`."""

    @property
    def token(self) -> int:
        """The fence as it was read."""

    @property
    def attempt_count(self) -> int:
        """Attempts begun, an open one included."""

    @property
    def started_at(self) -> datetime | None:
        """When the first attempt began."""

    @property
    def reason(self) -> str:
        """Why it was skipped or cancelled."""

    @property
    def is_deleted(self) -> bool:
        """Whether the Run belongs to a tombstone: it ends unseen and uncounted."""

    @property
    def retry_terms(self) -> tuple[int, float, float] | None:
        """Retries, first and longest delay of the schedule as it is now; None without a schedule."""


class LockedRun(NamedTuple):
    """One row; the names are those of `RUN_COLUMNS` in the same order."""

    id: UUID
    schedule_id: UUID | None
    target_id: UUID
    trigger: str
    status: str
    token: int
    attempt_count: int
    started_at: datetime | None
    reason: str
    schedule_deleted_at: datetime | None
    target_deleted_at: datetime | None
    max_retries: int | None
    retry_delay_seconds: float | None
    max_retry_delay_seconds: float | None
    scheduled_at: datetime
    next_attempt_at: datetime | None
    created_at: datetime
    schedule_name: str | None
    target_updated_at: datetime

    @property
    def is_deleted(self) -> bool:
        """See `LivingRun`."""
        return self.target_deleted_at is not None or self.schedule_deleted_at is not None

    @property
    def retry_terms(self) -> tuple[int, float, float] | None:
        """See `LivingRun`."""
        if self.max_retries is None or self.retry_delay_seconds is None or self.max_retry_delay_seconds is None:
            return None
        return self.max_retries, self.retry_delay_seconds, self.max_retry_delay_seconds


RUN_COLUMNS = (
    "id",
    "schedule_id",
    "target_id",
    "trigger",
    "status",
    "token",
    "attempt_count",
    "started_at",
    "reason",
    "schedule__deleted_at",
    "target__deleted_at",
    "schedule__max_retries",
    "schedule__retry_delay_seconds",
    "schedule__max_retry_delay_seconds",
    "scheduled_at",
    "next_attempt_at",
    "created_at",
    "schedule__name",
    "target__updated_at",
)


_READY = RepeatedQuery(Run.with_deleted.lock_ready, RUN_COLUMNS)
_RUNNING = RepeatedQuery(Run.with_deleted.lock_running, RUN_COLUMNS)


def lock_ready_runs(now: datetime, limit: int, full_targets: Collection[UUID]) -> Sequence[LockedRun]:
    """The rows of `RunQuerySet.lock_ready`."""
    return [LockedRun._make(row) for row in _READY.fetch(now, limit, list(full_targets))]


def lock_running_runs(ids: Sequence[UUID]) -> Sequence[LockedRun]:
    """The rows of `RunQuerySet.lock_running`."""
    return [LockedRun._make(row) for row in _RUNNING.fetch(ids)]
