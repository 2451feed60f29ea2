"""The life of a Run: which status may follow which, and the one door through which a status is changed.

pending -> running -> success | failed | timeout | retrying      retrying -> running
pending | retrying -> cancelled        running -> pending | retrying (handed back at drain)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from uuid import UUID

from runs.batch_update import update_rows
from runs.locked_run import LivingRun
from runs.models import FINAL_STATUSES, Run, RunStatus
from runs.outcome import ErrorType
from runs.rollups import EndedRun, count_ended

ARROWS: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.PENDING: frozenset({RunStatus.RUNNING, RunStatus.CANCELLED}),
    RunStatus.RUNNING: frozenset(
        {RunStatus.SUCCESS, RunStatus.FAILED, RunStatus.TIMEOUT, RunStatus.RETRYING, RunStatus.PENDING}
    ),
    RunStatus.RETRYING: frozenset({RunStatus.RUNNING, RunStatus.CANCELLED}),
}
# Of a RunChange too.
WRITTEN = (
    "status",
    "token",
    "worker_id",
    "attempt_count",
    "started_at",
    "completed_at",
    "next_attempt_at",
    "final_status_code",
    "final_error_type",
    "final_error_message",
    "reason",
)
_written = attrgetter(*WRITTEN)


@dataclass(frozen=True, slots=True)
class RunChange:
    """One step in a Run's life: `run` as it was locked, the rest as it shall be."""

    run: LivingRun
    status: RunStatus
    token: int
    attempt_count: int
    started_at: datetime | None
    worker_id: UUID | None = None
    completed_at: datetime | None = None
    next_attempt_at: datetime | None = None
    final_status_code: int | None = None
    final_error_type: str = ErrorType.NONE.value
    final_error_message: str = ""
    reason: str = ""
    latency_ms: float | None = None

    @property
    def is_final(self) -> bool:
        """Whether the Run ends here."""
        return self.status in FINAL_STATUSES


def claimed(run: LivingRun, *, worker_id: UUID, now: datetime) -> RunChange:
    """A worker takes the Run: the token rises and the attempt is counted before anything is sent."""
    return RunChange(
        run=run,
        status=RunStatus.RUNNING,
        token=run.token + 1,
        worker_id=worker_id,
        attempt_count=run.attempt_count + 1,
        started_at=run.started_at or now,
        reason=run.reason,
    )


def retrying(run: LivingRun, *, at: datetime) -> RunChange:
    """The attempt failed and another one follows at `at`."""
    return RunChange(
        run=run,
        status=RunStatus.RETRYING,
        token=run.token,
        attempt_count=run.attempt_count,
        started_at=run.started_at,
        next_attempt_at=at,
        reason=run.reason,
    )


def ended(
    run: LivingRun,
    status: RunStatus,
    *,
    at: datetime,
    status_code: int | None = None,
    error_type: ErrorType = ErrorType.NONE,
    message: str = "",
    reason: str = "",
    latency_ms: float | None = None,
) -> RunChange:
    """The Run reaches a final status at `at`."""
    return RunChange(
        run=run,
        status=status,
        token=run.token,
        attempt_count=run.attempt_count,
        started_at=run.started_at,
        completed_at=at,
        final_status_code=status_code,
        final_error_type=error_type.value,
        final_error_message=message,
        reason=reason or run.reason,
        latency_ms=latency_ms,
    )


def handed_back(run: LivingRun, *, due_at: datetime) -> RunChange:
    """The claim is undone: nothing was sent, the attempt doesn't count, the token rises all the same."""
    first = run.attempt_count <= 1
    return RunChange(
        run=run,
        status=RunStatus.PENDING if first else RunStatus.RETRYING,
        token=run.token + 1,
        attempt_count=run.attempt_count - 1,
        started_at=None if first else run.started_at,
        next_attempt_at=due_at,
        reason=run.reason,
    )


def fenced_off(change: RunChange) -> RunChange:
    """The same step with a raised token, so that the former holder's result comes too late."""
    return replace(change, token=change.run.token + 1)


def apply_changes(changes: Sequence[RunChange], *, now: datetime, lateness_seconds: Sequence[float] = ()) -> set[UUID]:
    """Write the steps, each only if its Run still has the token it was read with, and count the Runs that end.

    Must be called inside a transaction.

    Returns:
        The ids of the Runs that were changed.

    Raises:
        ValueError: a step is not one of `ARROWS`.
    """
    for change in changes:
        if change.status not in ARROWS.get(RunStatus(change.run.status), frozenset()):
            raise ValueError(f"A Run can't go from {change.run.status} to {change.status}.")
    rows = [
        (change.run.id, change.run.token, *_written(change))
        for change in sorted(changes, key=lambda change: change.run.id)
    ]
    written = update_rows(Run, match=("id", "token"), write=WRITTEN, rows=rows)
    counted = [
        _ended_run(change)
        for change in changes
        if change.is_final and change.run.id in written and not change.run.is_deleted
    ]
    if counted or lateness_seconds:
        count_ended(counted, lateness_seconds, now=now)
    return written


def _ended_run(change: RunChange) -> EndedRun:
    return EndedRun(
        schedule_id=change.run.schedule_id,
        status=change.status.value,
        error_type=change.final_error_type,
        latency_ms=change.latency_ms,
        started_at=change.started_at,
    )
