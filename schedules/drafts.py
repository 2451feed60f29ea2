"""The values of a schedule that is being written: defaults, what an edit replaces, and the timing they mean."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings

from schedules.models import CatchUp, OnWorkerLost, OverlapPolicy, Schedule
from schedules.recurrence import Timing
from schedules.validators import (
    FIELD_OF_TYPE,
    NULLABLE,
    Problems,
    check_fields_of_type,
    check_timing,
    end_field,
    find_window,
)
from targets.errors import InvalidFields

TIMING_FIELDS = (
    "schedule_type",
    "interval_seconds",
    "cron_expression",
    "run_at",
    "timezone",
    "start_at",
    "duration_seconds",
    "expires_at",
)
RETRY_FIELDS = ("retry_delay_seconds", "max_retry_delay_seconds")
REQUIRED = ("name", "target_id", "schedule_type")
USER_FIELDS = (
    "name",
    "target_id",
    *TIMING_FIELDS,
    "max_runs",
    "jitter_seconds",
    "catch_up",
    "misfire_grace_seconds",
    "overlap_policy",
    "max_retries",
    *RETRY_FIELDS,
    "on_worker_lost",
)
DEFAULT_RETRY_CAP_SECONDS = 3600.0


def timing_of(schedule: Schedule) -> Timing:
    """A saved schedule's timing, as the pure functions take it."""
    return Timing(
        schedule_type=schedule.schedule_type,
        started_at=schedule.started_at,
        expires_at=schedule.expires_at,
        interval_seconds=schedule.interval_seconds,
        cron_expression=schedule.cron_expression,
        run_at=schedule.run_at,
        timezone=schedule.timezone,
    )


def remaining_runs(schedule: Schedule) -> int | None:
    """How many scheduled Runs `max_runs` still allows; None where there is no such limit."""
    return None if schedule.max_runs is None else max(0, schedule.max_runs - schedule.run_count)


def defaults_for(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the fields that a new schedule leaves out mean."""
    first_wait = fields.get("retry_delay_seconds")
    if first_wait is None:
        first_wait = settings.RETRY_DELAY_SECONDS
    return {
        "timezone": settings.SCHEDULER_TIME_ZONE,
        "jitter_seconds": 0,
        "catch_up": CatchUp.LATEST.value,
        "misfire_grace_seconds": settings.JOB_MISFIRE_GRACE_SECONDS,
        "overlap_policy": OverlapPolicy.SKIP.value,
        "max_retries": settings.MAX_RETRIES,
        "retry_delay_seconds": first_wait,
        "max_retry_delay_seconds": max(DEFAULT_RETRY_CAP_SECONDS, first_wait),
        "on_worker_lost": OnWorkerLost.AUTO.value,
        **dict.fromkeys(NULLABLE),
    }


def missing(values: Mapping[str, Any]) -> Problems:
    """Required fields that are absent or null."""
    return {name: "Is required." for name in REQUIRED if values.get(name) is None}


def merge(schedule: Schedule, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The user's fields after the change.

    A new type takes the former type's field away, and a new end takes away the end written in the other notation:
    nobody has to null what the change itself replaces. A client that sends everything back as it read it sends both
    notations; the derived one, unchanged, is then no wish.
    """
    if changes.get("duration_seconds") and schedule.duration_seconds:
        changes = {
            name: value for name, value in changes.items() if name != "expires_at" or value != schedule.expires_at
        }
    current = {name: getattr(schedule, name) for name in USER_FIELDS}
    if schedule.duration_seconds is not None:
        current["expires_at"] = None
    if changes.get("schedule_type", schedule.schedule_type) != schedule.schedule_type:
        current.update(dict.fromkeys(FIELD_OF_TYPE.values()))
    if "expires_at" in changes:
        current["duration_seconds"] = None
    if changes.get("duration_seconds") is not None:
        current["expires_at"] = None
    return {**current, **changes}


def settle_timing(values: Mapping[str, Any], *, created_at: datetime, now: datetime) -> Timing:
    """The timing that the fields mean, with the window starting at `created_at` where they give no `start_at`.

    Raises:
        targets.errors.InvalidFields: the fields don't fit together.
    """
    refuse(check_fields_of_type(values))
    started_at, expires_at, problems = find_window(values, created_at)
    refuse(problems)
    timing = Timing(
        schedule_type=values["schedule_type"],
        started_at=started_at,
        expires_at=expires_at,
        interval_seconds=values.get("interval_seconds"),
        cron_expression=values.get("cron_expression"),
        run_at=values.get("run_at"),
        timezone=values["timezone"],
    )
    refuse(check_timing(timing, end=end_field(values), now=now))
    return timing


def refuse(problems: Problems) -> None:
    """Raise InvalidFields if there is any problem."""
    if problems:
        raise InvalidFields(problems)
