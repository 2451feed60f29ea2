"""Enqueue: turn due nominal times into Runs and advance `next_run_at`, in one transaction.

A crash at any point loses no tick and doubles none: lock, insert Runs, advance from the nominal time, commit.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import transaction

from runs.batch_update import existing_ids, insert_rows, update_rows, write_or_isolate
from runs.identity import scheduled_run_id
from runs.models import Run, RunStatus, Trigger
from runs.outcome import ErrorType
from runs.rollups import EndedRun, count_ended
from runs.row_fetch import RepeatedQuery
from schedules.fire_plan import FirePlan, FirePolicy, plan_fires
from schedules.index_order import index_order
from schedules.models import Schedule, ScheduleStatus
from schedules.recurrence import jitter_offset
from schedules.timing import Timing

logger = logging.getLogger(__name__)

FIRST_HOLD = timedelta(minutes=1)
LONGEST_HOLD = timedelta(hours=1)
ENQUEUE_COLUMNS = (
    "status",
    "next_run_at",
    "run_count",
    "last_run_at",
    "last_error",
    "enqueue_failures",
    "held_until",
)


class DueSchedule(NamedTuple):
    """A locked schedule as enqueue reads it; the names are those of columns."""

    id: UUID
    target_id: UUID
    schedule_type: str
    interval_seconds: int | None
    cron_expression: str | None
    run_at: datetime | None
    timezone: str
    started_at: datetime
    expires_at: datetime | None
    max_runs: int | None
    jitter_seconds: int
    catch_up: str
    misfire_grace_seconds: int
    overlap_policy: str
    run_count: int
    last_run_at: datetime | None
    next_run_at: datetime | None
    enqueue_failures: int

    @property
    def timing(self) -> Timing:
        """When it fires."""
        return Timing(
            schedule_type=self.schedule_type,
            started_at=self.started_at,
            expires_at=self.expires_at,
            interval_seconds=self.interval_seconds,
            cron_expression=self.cron_expression,
            run_at=self.run_at,
            timezone=self.timezone,
        )


_DUE = RepeatedQuery(Schedule.with_deleted.lock_due, DueSchedule._fields)


class NewRun(NamedTuple):
    """A Run to insert: every column that must not be null; the names are those of columns."""

    id: UUID
    schedule_id: UUID
    target_id: UUID
    status: str
    reason: str
    missed_ticks: int
    queued: bool
    scheduled_at: datetime
    next_attempt_at: datetime | None
    completed_at: datetime | None
    created_at: datetime
    trigger: str = Trigger.SCHEDULE.value
    attempt_count: int = 0
    final_error_type: str = ErrorType.NONE.value
    final_error_message: str = ""
    resolved_note: str = ""
    token: int = 0


class _Enqueued(NamedTuple):
    """What one schedule's plan comes to: its new rows and its own new values."""

    schedule: DueSchedule
    runs: list[NewRun]
    next_run_at: datetime | None

    def columns(self) -> tuple[object, ...]:
        """The values of `ENQUEUE_COLUMNS`."""
        created = [run.scheduled_at for run in self.runs if run.status == RunStatus.PENDING]
        schedule = self.schedule
        return (
            ScheduleStatus.ACTIVE if self.next_run_at else ScheduleStatus.EXPIRED,
            self.next_run_at,
            schedule.run_count + len(created),
            max(created, default=schedule.last_run_at),
            "",
            0,
            None,
        )


def enqueue_due(now: datetime, *, poll_seconds: float, limit: int = 100) -> int:
    """Create the Runs of up to `limit` due schedules.

    Args:
        now: the database's time.
        poll_seconds: the worker's poll interval; `catch_up` none measures lateness in polls.

    Returns:
        How many schedules were looked at; fewer than `limit` means that nothing more is due.
    """
    with transaction.atomic():
        with index_order():
            rows = _DUE.fetch(now, limit)
        schedules = [DueSchedule._make(row) for row in rows]
        if not schedules:
            return 0
        active = Run.with_deleted.active_per_schedule([schedule.id for schedule in schedules])
        planned: list[tuple[DueSchedule, FirePlan]] = []
        for schedule in schedules:
            try:
                plan = _plan(schedule, active.get(schedule.id, 0), now=now, poll_seconds=poll_seconds)
            except Exception as error:
                _hold(schedule, error, now=now)
            else:
                planned.append((schedule, plan))
        fresh = _without_existing(planned, now=now)
        for item, refusal in write_or_isolate(fresh, lambda items: _write(items, now=now)):
            _hold(item.schedule, refusal, now=now)
        return len(schedules)


def _plan(schedule: DueSchedule, active_runs: int, *, now: datetime, poll_seconds: float) -> FirePlan:
    if schedule.next_run_at is None:
        raise ValueError("an active schedule without next_run_at")
    policy = FirePolicy(
        catch_up=schedule.catch_up,
        misfire_grace_seconds=schedule.misfire_grace_seconds,
        overlap_policy=schedule.overlap_policy,
        remaining_runs=None if schedule.max_runs is None else schedule.max_runs - schedule.run_count,
        active_runs=active_runs,
        jitter=jitter_offset(schedule.id, schedule.jitter_seconds),
        poll_seconds=poll_seconds,
    )
    return plan_fires(schedule.timing, policy, schedule.next_run_at, now)


def _without_existing(planned: Sequence[tuple[DueSchedule, FirePlan]], *, now: datetime) -> list[_Enqueued]:
    """Leave out nominal times that have a Run already: an edit may lead a schedule over its own past."""
    rows = {schedule.id: _new_runs(schedule, plan, now=now) for schedule, plan in planned}
    wanted = [run.id for runs in rows.values() for run in runs]
    existing = existing_ids(Run, wanted)
    return [
        _Enqueued(schedule, [run for run in rows[schedule.id] if run.id not in existing], plan.next_run_at)
        for schedule, plan in planned
    ]


def _new_runs(schedule: DueSchedule, plan: FirePlan, *, now: datetime) -> list[NewRun]:
    offset = jitter_offset(schedule.id, schedule.jitter_seconds)
    return [
        NewRun(
            id=scheduled_run_id(schedule.id, planned.scheduled_at),
            schedule_id=schedule.id,
            target_id=schedule.target_id,
            status=planned.status,
            reason=planned.reason,
            missed_ticks=planned.missed_ticks,
            queued=planned.queued,
            scheduled_at=planned.scheduled_at,
            next_attempt_at=planned.scheduled_at + offset if planned.status == "pending" else None,
            completed_at=None if planned.status == "pending" else now,
            created_at=now,
        )
        for planned in plan.runs
    ]


def _write(items: Sequence[_Enqueued], *, now: datetime) -> None:
    insert_rows(Run, NewRun._fields, [run for item in items for run in item.runs])
    rows = [(item.schedule.id, *item.columns()) for item in items]
    update_rows(Schedule, match=("id",), write=ENQUEUE_COLUMNS, rows=rows)
    skipped = [
        EndedRun(schedule_id=run.schedule_id, status=run.status, error_type="none", latency_ms=None, started_at=None)
        for item in items
        for run in item.runs
        if run.status == RunStatus.SKIPPED
    ]
    if skipped:
        count_ended(skipped, (), now=now)


def _hold(schedule: DueSchedule, error: Exception, *, now: datetime) -> None:
    """Push a schedule back that can't be computed or written, and say so on its row; its ticks are not lost."""
    failures = min(schedule.enqueue_failures + 1, 100)
    wait = min(FIRST_HOLD * 2 ** min(failures - 1, 10), LONGEST_HOLD)
    if failures == 1:
        logger.exception(
            "schedule held back", exc_info=error, extra={"action": "hold_schedule", "schedule": schedule.id}
        )
    sentence = f"The next fire can't be computed ({type(error).__name__}: {error}). Edit the timing; next try later."
    Schedule.with_deleted.filter(id=schedule.id).update(
        last_error=sentence.replace("\x00", "")[:500], enqueue_failures=failures, held_until=now + wait
    )
