"""What a schedule may hold. Each check returns its problems as `{field: one sentence with the remedy}`."""

from __future__ import annotations

import unicodedata
import zoneinfo
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import pytz

from schedules.models import CatchUp, OnWorkerLost, OverlapPolicy, ScheduleType
from schedules.recurrence import InvalidCron, Timing, check_cron, next_fire, shortest_gap
from schedules.zones import UnknownZone

DAY = 86_400
NAME_LENGTH = 200
CRON_LENGTH = 200
REASON_LENGTH = 500
# Inclusive, in seconds where the name says so. The upper bounds are the database columns' or a century.
WHOLE_NUMBERS: Mapping[str, tuple[int, int]] = {
    "interval_seconds": (1, 366 * DAY),
    "duration_seconds": (1, 36_525 * DAY),
    "max_runs": (1, 2**31 - 1),
    "jitter_seconds": (0, 366 * DAY - 1),
    "misfire_grace_seconds": (0, 366 * DAY),
    "max_retries": (0, 100),
}
NUMBERS: Mapping[str, tuple[float, float]] = {
    "retry_delay_seconds": (0, DAY),
    "max_retry_delay_seconds": (0, DAY),
}
CHOICES: Mapping[str, list[str]] = {
    "schedule_type": list(ScheduleType.values),
    "catch_up": list(CatchUp.values),
    "overlap_policy": list(OverlapPolicy.values),
    "on_worker_lost": list(OnWorkerLost.values),
}
NULLABLE = frozenset(
    {
        "interval_seconds",
        "cron_expression",
        "run_at",
        "start_at",
        "duration_seconds",
        "expires_at",
        "max_runs",
    }
)
FIELD_OF_TYPE: Mapping[str, str] = {
    ScheduleType.INTERVAL: "interval_seconds",
    ScheduleType.CRON: "cron_expression",
    ScheduleType.ONCE: "run_at",
}
MOMENTS = ("run_at", "start_at", "expires_at")
# Far enough from both ends of the calendar that no zone, interval or run id leaves it.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)

Problems = dict[str, str]


@lru_cache(maxsize=1)
def known_zones() -> frozenset[str]:
    """IANA zone names, aliases included (browsers still say Asia/Calcutta); no file-system oddities as `localtime`."""
    return frozenset(pytz.all_timezones) & zoneinfo.available_timezones()


def check_values(fields: Mapping[str, Any]) -> Problems:
    """Each field by itself: only those present in `fields` are looked at. Types are the caller's business."""
    problems: Problems = {}
    for name, value in fields.items():
        problem = _check_value(name, value)
        if problem:
            problems[name] = problem
    return problems


def _check_value(name: str, value: Any) -> str | None:
    if value is None:
        return None if name in NULLABLE else "Is required; it can't be null."
    bounds = WHOLE_NUMBERS.get(name) or NUMBERS.get(name)
    if bounds:
        low, high = bounds
        return None if low <= value <= high else f"Must be from {low} to {high}."
    if name in CHOICES:
        return None if value in CHOICES[name] else f"Must be one of {', '.join(CHOICES[name])}."
    if name in MOMENTS:
        return None if EARLIEST <= value < LATEST else "Must lie between the years 1970 and 9000."
    check = TEXT_CHECKS.get(name)
    return check(value) if check else None


def _check_name(value: str) -> str | None:
    if not value.strip():
        return "Can't be blank."
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in value):
        return "Can't have line breaks or other control characters."
    return None if len(value) <= NAME_LENGTH else f"Can have at most {NAME_LENGTH} characters."


def _check_cron_text(value: str) -> str | None:
    if not value.strip():
        return "Can't be blank; five fields such as */5 * * * *, or @hourly."
    return None if len(value) <= CRON_LENGTH else f"Can have at most {CRON_LENGTH} characters."


def _check_zone(value: str) -> str | None:
    return None if value in known_zones() else "Is not an IANA time zone; write one such as Europe/Berlin or UTC."


TEXT_CHECKS: Mapping[str, Callable[[str], str | None]] = {
    "name": _check_name,
    "cron_expression": _check_cron_text,
    "timezone": _check_zone,
}


def check_fields_of_type(fields: Mapping[str, Any]) -> Problems:
    """Exactly the field of the schedule's own type is set."""
    schedule_type = fields["schedule_type"]
    own = FIELD_OF_TYPE[schedule_type]
    problems = {
        name: f"Belongs to schedule_type {other}; leave it out, or null, for {schedule_type}."
        for other, name in FIELD_OF_TYPE.items()
        if name != own and fields.get(name) is not None
    }
    if fields.get(own) is None:
        problems[own] = f"Is required for schedule_type {schedule_type}."
    return problems


def check_retry_delays(fields: Mapping[str, Any]) -> Problems:
    """The cap of the waits is not below the first wait."""
    first, cap = fields["retry_delay_seconds"], fields["max_retry_delay_seconds"]
    if cap >= first:
        return {}
    return {"max_retry_delay_seconds": f"Must be at least retry_delay_seconds ({first:g}); raise it or lower that."}


def find_window(fields: Mapping[str, Any], created_at: datetime) -> tuple[datetime, datetime | None, Problems]:
    """When a schedule's window starts and ends (None: never), and what is wrong with it."""
    started_at: datetime = fields.get("start_at") or created_at
    expires_at: datetime | None = fields.get("expires_at")
    duration = fields.get("duration_seconds")
    if expires_at and duration:
        return started_at, expires_at, {"expires_at": "Can't be given together with duration_seconds; keep one."}
    if duration:
        expires_at = started_at + timedelta(seconds=duration)
        if expires_at >= LATEST:
            return started_at, None, {"duration_seconds": "Ends after the year 9000; leave it out for no end."}
    if expires_at and expires_at <= started_at:
        return started_at, expires_at, {"expires_at": f"Must be later than the start ({_shown(started_at)})."}
    return started_at, expires_at, _check_run_at(fields, expires_at)


def _check_run_at(fields: Mapping[str, Any], expires_at: datetime | None) -> Problems:
    run_at, start_at = fields.get("run_at"), fields.get("start_at")
    if run_at and start_at and run_at < start_at:
        return {"run_at": f"Must not be earlier than start_at ({_shown(start_at)})."}
    if run_at and expires_at and run_at > expires_at:
        return {end_field(fields): f"Ends the schedule ({_shown(expires_at)}) before run_at ({_shown(run_at)})."}
    return {}


def end_field(fields: Mapping[str, Any]) -> str:
    """The field that sets the end of the window, to be named where the window is too short."""
    return "duration_seconds" if fields.get("duration_seconds") else "expires_at"


def check_timing(timing: Timing, *, end: str, now: datetime) -> Problems:
    """The timing can be computed, and its window holds at least one fire, past or future; `end` names what ends it."""
    if timing.schedule_type == ScheduleType.CRON:
        try:
            check_cron(timing.cron_expression or "", timing.timezone, now)
        except InvalidCron as error:
            return {"cron_expression": str(error)}
        except UnknownZone as error:  # one that was accepted once, and is gone from this machine
            return {"timezone": str(error)}
    before_start = timing.started_at - timedelta(microseconds=1)
    if timing.schedule_type != ScheduleType.ONCE and next_fire(timing, before_start) is None:
        return {end: "Ends the schedule before its first fire; choose a later end or leave it out."}
    return {}


def check_future(timing: Timing, *, end: str, now: datetime) -> Problems:
    """Something will still fire after `now`; `end` names the field that ends the window."""
    if timing.run_at and timing.run_at <= now:
        return {"run_at": f"Is in the past (it is {_shown(now)} now); choose a later moment."}
    if next_fire(timing, now) is None:
        return {end: "Leaves no fire in the future; choose a later end or leave it out."}
    return {}


def check_jitter(timing: Timing, jitter_seconds: int, *, now: datetime) -> Problems:
    """The offset stays below the shortest time between two fires, so that it can't change their order."""
    if not jitter_seconds:
        return {}
    gap = shortest_gap(timing, max(now, timing.started_at - timedelta(microseconds=1)))
    if gap is None or timedelta(seconds=jitter_seconds) < gap:
        return {}
    return {"jitter_seconds": f"Must be less than the shortest time between two fires ({gap.total_seconds():g} s)."}


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
