"""Write side of the rollups: what ended Runs add to the counters that metrics read."""

from __future__ import annotations

import math
import secrets
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.db import connection, transaction

from runs.additive_upsert import add_rows
from runs.histograms import LATENCY_BOUNDS, LATENESS_BOUNDS, label_of
from runs.models import MinuteRollup, RunStatus, ScheduleRollup
from runs.outcome import ErrorType

# The minute of the rows that hold everything older than KEPT_MINUTES.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# One hour more than metrics look back, so that a fold never takes a minute out of a window that is being read.
KEPT_MINUTES = timedelta(hours=25)
SHARDS = 8
# A Run with one of these statuses was tried; a skipped or cancelled one was not, or not to its end.
TRIED_STATUSES = (RunStatus.SUCCESS, RunStatus.FAILED, RunStatus.TIMEOUT)

# Processes that write at the same time mostly write different rows, and so don't wait for each other's commit.
_SHARD = secrets.randbelow(SHARDS)


class RollupKind(StrEnum):
    """What a counter counts; its `label` is a status, an error type, or the upper bound of a bucket in seconds."""

    STATUS = "status"
    ERROR = "error"
    LATENCY = "latency"
    LATENESS = "lateness"


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A Run that has just reached its final status.

    `latency_ms`: of its last attempt; None where none ended. `schedule_id`: None for a test call.
    """

    schedule_id: UUID | None
    status: str
    error_type: str
    latency_ms: float | None
    started_at: datetime | None


# (minute, kind, label, shard) -> [count, sum of seconds]
_Cells = dict[tuple[datetime, str, str, int], list[float]]


def count_ended(ended: Sequence[EndedRun], lateness_seconds: Sequence[float], *, now: datetime) -> None:
    """Add Runs that ended, and how late attempts started, to the counters of the minute of `now` and of the schedules.

    Call it last in the transaction that ends the Runs: they count if and only if it commits, and the counters' row
    locks, which other writers wait for, are held as shortly as can be. Rows are written in the order of their keys,
    so that two writers can't deadlock.

    Args:
        ended: Runs that reached a final status in this transaction, each exactly once in its life.
        lateness_seconds: start minus due moment of attempts that are recorded in this transaction.
        now: the database's time.

    Raises:
        TransactionManagementError: outside a transaction.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("count_ended belongs into the transaction that ends the Runs.")
    _add_cells(_minute_cells(ended, lateness_seconds, now))
    _add_to_schedules(ended, now)


def fold_old_minutes(*, now: datetime, limit: int = 1000) -> int:
    """Add up to `limit` counters older than `KEPT_MINUTES` to those of the epoch, and delete them.

    Writers never touch minutes that old; two folders at once take different rows. Call it until it returns 0.

    Returns: the number of rows folded.
    """
    old = MinuteRollup.objects.filter(minute__gt=EPOCH, minute__lt=now - KEPT_MINUTES)
    old = old.order_by("minute", "kind", "label", "shard")
    if connection.features.has_select_for_update_skip_locked:
        old = old.select_for_update(skip_locked=True)
    with transaction.atomic():
        rows = list(old[:limit])
        cells: _Cells = defaultdict(lambda: [0, 0.0])
        for row in rows:
            cell = cells[(EPOCH, row.kind, row.label, 0)]
            cell[0] += row.count
            cell[1] += row.total
        MinuteRollup.objects.filter(id__in=[row.id for row in rows]).delete()
        _add_cells(cells)
    return len(rows)


def summable(seconds: float) -> float:
    """`seconds` to the nearest 1/65536 (15 microseconds): such values add up without error, in any order.

    So a sum can't shrink by a rounding error when rows are folded or read in another order, which Prometheus would take
    for a restart. Exact as long as the sum stays below 2**37 seconds.
    """
    return round(seconds * 65_536) / 65_536


def _minute_cells(ended: Sequence[EndedRun], lateness_seconds: Sequence[float], now: datetime) -> _Cells:
    minute = now.astimezone(UTC).replace(second=0, microsecond=0)
    cells: _Cells = defaultdict(lambda: [0, 0.0])

    def add(kind: RollupKind, label: str, seconds: float = 0.0) -> None:
        cell = cells[(minute, kind.value, label, _SHARD)]
        cell[0] += 1
        cell[1] += seconds

    for run in ended:
        add(RollupKind.STATUS, str(run.status))
        if run.error_type != ErrorType.NONE:
            add(RollupKind.ERROR, str(run.error_type))
        if run.status in TRIED_STATUSES and run.latency_ms is not None:
            seconds = run.latency_ms / 1000
            add(RollupKind.LATENCY, label_of(seconds, LATENCY_BOUNDS), summable(seconds))
    for lateness in lateness_seconds:
        # A clock set back between planning and start must not make a sum shrink: Prometheus' sums only grow.
        seconds = max(lateness, 0.0)
        add(RollupKind.LATENESS, label_of(seconds, LATENESS_BOUNDS), summable(seconds))
    return cells


def _add_cells(cells: _Cells) -> None:
    rows = [(*key, count, total) for key, (count, total) in sorted(cells.items())]
    add_rows(MinuteRollup, key=("minute", "kind", "label", "shard"), summed=("count", "total"), rows=rows)


def _add_to_schedules(ended: Sequence[EndedRun], now: datetime) -> None:
    runs_of: dict[UUID, list[EndedRun]] = defaultdict(list)
    for run in ended:
        if run.schedule_id is not None:
            runs_of[run.schedule_id].append(run)
    rows = [_schedule_row(schedule_id, runs_of[schedule_id], now) for schedule_id in sorted(runs_of)]
    add_rows(
        ScheduleRollup,
        key=("schedule",),
        summed=("total_runs", "successful_runs", "failed_runs", "timeout_runs", "latency_count", "latency_total_ms"),
        newest=("last_run_at", "last_status", "last_error_type"),
        rows=rows,
    )


def _schedule_row(schedule_id: UUID, runs: Sequence[EndedRun], now: datetime) -> tuple[object, ...]:
    statuses = [run.status for run in runs]
    latencies = [run.latency_ms for run in runs if run.latency_ms is not None]
    tried = [run for run in runs if run.status in TRIED_STATUSES]
    last = max(tried, key=lambda run: run.started_at or now, default=None)
    return (
        schedule_id,
        len(runs),
        *(statuses.count(status) for status in TRIED_STATUSES),
        len(latencies),
        math.fsum(latencies),
        (last.started_at or now) if last else None,
        str(last.status) if last else "",
        str(last.error_type) if last else ErrorType.NONE.value,
    )
