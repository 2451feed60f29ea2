"""What can be done to a schedule. Each service takes `now` on the database's clock and writes under the row lock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from schedules.drafts import (
    RETRY_FIELDS,
    TIMING_FIELDS,
    defaults_for,
    merge,
    missing,
    refuse,
    remaining_runs,
    settle_timing,
    timing_of,
)
from schedules.errors import WrongState, computable_timing
from schedules.models import Schedule, SchedulePause, ScheduleStatus
from schedules.recurrence import Timing, next_fire
from schedules.validators import (
    Problems,
    check_future,
    check_jitter,
    check_retry_delays,
    check_values,
    end_field,
)
from targets.models import Target

__all__ = [
    "create_schedule",
    "delete_schedule",
    "pause_schedule",
    "resume_schedule",
    "timing_of",
    "update_schedule",
]

Check = Callable[[Schedule], None]


@transaction.atomic
def create_schedule(*, fields: Mapping[str, Any], now: datetime) -> Schedule:
    """Create an active schedule; the first fire is the first nominal time after `now`.

    Raises:
        targets.errors.InvalidFields: names every field that can't be accepted.
    """
    values = {**defaults_for(fields), **fields}
    refuse(missing(values) | check_values(values))
    refuse(_check_target(values) | check_retry_delays(values))
    timing = settle_timing(values, created_at=now, now=now)
    refuse(check_future(timing, end=end_field(values), now=now))
    refuse(check_jitter(timing, values["jitter_seconds"], now=now))
    return Schedule.objects.create(
        **{**values, "started_at": timing.started_at, "expires_at": timing.expires_at},
        status=ScheduleStatus.ACTIVE,
        next_run_at=next_fire(timing, now),
        created_at=now,
        updated_at=now,
    )


@transaction.atomic
def update_schedule(
    *, schedule_id: UUID, changes: Mapping[str, Any], now: datetime, check: Check | None = None
) -> Schedule:
    """Change a schedule. An edit that leaves the timing alone keeps the next fire; any other computes it after `now`.

    Args:
        schedule_id: which schedule.
        changes: the new values, by field name.
        now: the present moment.
        check: called under the row lock before anything is decided; what it raises goes to the caller.

    Raises:
        Schedule.DoesNotExist: there is none, or it is deleted.
        targets.errors.InvalidFields: names every field that can't be accepted.
        schedules.errors.WrongState: the timing can't be computed, and the change doesn't mend that.
    """
    schedule = _lock(schedule_id)
    if check:
        check(schedule)
    values = merge(schedule, changes)
    before, timing = timing_of(schedule), _check_changes(schedule, changes, values, now=now)
    for name, value in values.items():
        setattr(schedule, name, value)
    schedule.started_at, schedule.expires_at = timing.started_at, timing.expires_at
    written = _decide_next_fire(schedule, edited=timing != before, now=now)
    schedule.updated_at = now
    schedule.save(update_fields=[*values, "started_at", "updated_at", *written])
    return schedule


@transaction.atomic
def pause_schedule(*, schedule_id: UUID, now: datetime, reason: str = "") -> Schedule:
    """Stop new nominal times. Runs that exist go on.

    Raises:
        Schedule.DoesNotExist: there is none, or it is deleted.
        schedules.errors.WrongState: it is paused already, or expired.
    """
    schedule = _lock(schedule_id)
    if schedule.status != ScheduleStatus.ACTIVE:
        raise WrongState(f"Only an active schedule can be paused; this one is {schedule.status}.")
    schedule.status = ScheduleStatus.PAUSED
    schedule.paused_reason = reason
    schedule.next_run_at = None
    schedule.updated_at = now
    schedule.save(update_fields=["status", "paused_reason", "next_run_at", "updated_at"])
    SchedulePause.objects.create(schedule=schedule, paused_at=now, reason=reason)
    return schedule


@transaction.atomic
def resume_schedule(*, schedule_id: UUID, now: datetime) -> Schedule:
    """Go on at the first nominal time after `now`; where there is none the schedule is expired.

    Raises:
        Schedule.DoesNotExist: there is none, or it is deleted.
        schedules.errors.WrongState: it is not paused, or its timing can't be computed.
    """
    schedule = _lock(schedule_id)
    if schedule.status != ScheduleStatus.PAUSED:
        raise WrongState(f"Only a paused schedule can be resumed; this one is {schedule.status}.")
    schedule.status = ScheduleStatus.ACTIVE
    schedule.paused_reason = ""
    written = _decide_next_fire(schedule, edited=True, now=now)
    schedule.updated_at = now
    schedule.save(update_fields=["paused_reason", "updated_at", *written])
    SchedulePause.objects.filter(schedule=schedule, resumed_at__isnull=True).update(resumed_at=now)
    return schedule


@transaction.atomic
def delete_schedule(*, schedule_id: UUID, now: datetime, check: Check | None = None) -> None:
    """Take a schedule and its Runs out of sight at once; the worker purges the rows later.

    Raises:
        Schedule.DoesNotExist: there is none, or it is deleted.
    """
    schedule = _lock(schedule_id)
    if check:
        check(schedule)
    schedule.deleted_at = now
    schedule.save(update_fields=["deleted_at"])


def _lock(schedule_id: UUID) -> Schedule:
    # no_key: a plain FOR UPDATE would block inserts of Runs that reference the row. SQLite ignores all of it and
    # lets one IMMEDIATE transaction in at a time instead.
    return Schedule.objects.select_for_update(no_key=True, of=("self",)).get(pk=schedule_id)


def _check_changes(
    schedule: Schedule, changes: Mapping[str, Any], values: Mapping[str, Any], *, now: datetime
) -> Timing:
    """Check what an edit touches, and only that: what was accepted once never gets in the way of another edit."""
    refuse(check_values(changes))
    if "target_id" in changes:
        refuse(_check_target(changes))
    if any(name in changes for name in RETRY_FIELDS):
        refuse(check_retry_delays(values))
    before = timing = timing_of(schedule)
    if any(name in changes for name in TIMING_FIELDS):
        timing = settle_timing(values, created_at=schedule.created_at, now=now)
    if timing.run_at and timing.run_at != before.run_at:
        refuse(check_future(timing, end=end_field(values), now=now))
    if timing != before or "jitter_seconds" in changes:
        with computable_timing():
            refuse(check_jitter(timing, values["jitter_seconds"], now=now))
    return timing


def _check_target(values: Mapping[str, Any]) -> Problems:
    if Target.objects.filter(pk=values["target_id"]).exists():
        return {}
    return {"target_id": "Is not the id of a target; GET /api/v1/targets lists them."}


def _decide_next_fire(schedule: Schedule, *, edited: bool, now: datetime) -> list[str]:
    """Set status and next fire after a change; a paused schedule stays paused. Returns the columns it wrote."""
    if schedule.status == ScheduleStatus.PAUSED:
        return []
    if remaining_runs(schedule) == 0:
        schedule.next_run_at = None
    elif edited or schedule.status == ScheduleStatus.EXPIRED:
        with computable_timing():
            schedule.next_run_at = next_fire(timing_of(schedule), now)
        # A fault of the old timing must not hold the new one back.
        schedule.held_until, schedule.enqueue_failures, schedule.last_error = None, 0, ""
    schedule.status = ScheduleStatus.ACTIVE if schedule.next_run_at else ScheduleStatus.EXPIRED
    return ["status", "next_run_at", "held_until", "enqueue_failures", "last_error"]
