"""When a schedule is due: pure time arithmetic over a `Timing`. No database, no settings, no clock."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from uuid import UUID

from schedules.cron import CronFire, cron_fires, parse_cron
from schedules.cron_syntax import InvalidCron
from schedules.describe import describe
from schedules.timing import Timing
from schedules.zones import exists, find_zone, is_repeated, next_offset_change

__all__ = [
    "Fire",
    "InvalidCron",
    "Timing",
    "check_cron",
    "describe",
    "fires",
    "jitter_offset",
    "next_fire",
    "shortest_gap",
    "upcoming",
]

_MICROSECOND = timedelta(microseconds=1)
# Nothing fires before 1970, from where run ids count milliseconds, nor in the last two days of year 9999: local
# times and jitter then never leave the calendar.
_BEFORE_FIRST = datetime(1970, 1, 1, tzinfo=UTC) - _MICROSECOND
_LAST = datetime(9999, 12, 30, tzinfo=UTC)
_DAY = timedelta(days=1)
# Where `shortest_gap` looks: past both clock changes of a year, and past the next two leap years.
_NEXT_CHANGES = timedelta(days=400)
_NEXT_FIRES = timedelta(days=366 * 12)
_MOST_FIRES = 400


@dataclass(frozen=True, slots=True)
class Fire:
    """One upcoming fire: the nominal time in UTC and in the schedule's zone, and what a clock change did to it."""

    at: datetime
    local: datetime
    note: str


def next_fire(timing: Timing, after: datetime) -> datetime | None:
    """The first nominal time strictly later than `after` (aware) inside the schedule's window; UTC, None at the end."""
    return next(fires(timing, after), None)


def fires(timing: Timing, after: datetime) -> Iterator[datetime]:
    """All nominal times strictly later than `after` (aware) inside the window, in order, UTC."""
    for fire in _occurrences(timing, after):
        yield fire.at


def upcoming(timing: Timing, after: datetime, count: int) -> list[Fire]:
    """The next `count` fires strictly later than `after`, in local time too, with notes on clock changes."""
    zone = find_zone(timing.timezone)
    return [
        Fire(fire.at, fire.at.astimezone(zone), _note(fire, timing))
        for fire in islice(_occurrences(timing, after), count)
    ]


def _occurrences(timing: Timing, after: datetime) -> Iterator[CronFire]:
    for fire in _endless(timing, _bounded(after)):
        if fire.at >= _LAST or (timing.expires_at is not None and fire.at > timing.expires_at):
            return
        yield fire


def _bounded(moment: datetime) -> datetime:
    """`moment` in UTC; those before the first possible fire and after the last one are as good as just before them."""
    return max(min(moment, _LAST), _BEFORE_FIRST).astimezone(UTC)


def _endless(timing: Timing, after: datetime) -> Iterator[CronFire]:
    """Fires of any type, without the end of the window. Those that are no cron name no wall clock: `at` stands in."""
    if timing.cron_expression is not None:
        # Cron may fire at the very start, so "later" begins a moment ahead of it.
        start = max(after, _bounded(timing.started_at) - _MICROSECOND)
        yield from cron_fires(timing.cron_expression, timing.timezone, start)
    elif timing.interval_seconds is not None:
        yield from (CronFire(at, at) for at in _grid(timing.started_at, timing.interval_seconds, after))
    elif timing.run_at is not None and timing.run_at > after:
        at = _bounded(timing.run_at)  # one beyond the last fire becomes `_LAST`, which never fires
        yield CronFire(at, at)


def _grid(started_at: datetime, interval_seconds: int, after: datetime) -> Iterator[datetime]:
    """`started_at + k * interval` for k >= 1, later than `after` (UTC). Whole steps from the start: nothing drifts."""
    step, elapsed = timedelta(seconds=interval_seconds), after - started_at
    try:
        at = after + (max(elapsed // step + 1, 1) * step - elapsed)
        while True:
            yield at
            at += step
    except OverflowError:
        return  # beyond year 9999


def _note(fire: CronFire, timing: Timing) -> str:
    """What a clock change does to a cron fire, in words; empty for most."""
    if timing.cron_expression is None:
        return ""
    zone = find_zone(timing.timezone)
    local = fire.at.astimezone(zone)
    if fire.dropped is not None:
        return f"clocks go forward: {fire.dropped:%H:%M} does not exist on {fire.dropped:%Y-%m-%d} and is left out"
    if not exists(fire.wall, zone):
        return f"{fire.wall:%H:%M} does not exist on this day: runs at {local:%H:%M}"
    if not is_repeated(fire.wall, zone):
        return ""
    if parse_cron(timing.cron_expression).fixed:
        return f"{fire.wall:%H:%M} occurs twice on this day: runs at the first one"
    return f"{fire.wall:%H:%M} occurs twice on this day: this is the {'second' if local.fold else 'first'} one"


def shortest_gap(timing: Timing, after: datetime) -> timedelta | None:
    """The shortest time between two fires later than `after`, None where fewer than two are left.

    For cron, over the next 400 fires and those around the clock changes of the next 400 days, where gaps shrink.
    """
    if timing.interval_seconds is not None:
        two = list(islice(fires(timing, after), 2))
        return two[1] - two[0] if len(two) == 2 else None
    gaps = [
        later - earlier
        for start in (after, *_days_before_clock_changes(timing, after))
        for earlier, later in pairwise(_some_fires(timing, start))
    ]
    return min(gaps, default=None)


def _some_fires(timing: Timing, after: datetime) -> Iterator[datetime]:
    end = _later(after, _NEXT_FIRES)
    return takewhile(lambda at: at <= end, islice(fires(timing, after), _MOST_FIRES))


def _days_before_clock_changes(timing: Timing, after: datetime) -> Iterator[datetime]:
    zone, end = find_zone(timing.timezone), _later(after, _NEXT_CHANGES)
    change = next_offset_change(zone, _bounded(after), end)
    while change is not None:
        yield change - _DAY
        change = next_offset_change(zone, change, end)


def _later(moment: datetime, span: timedelta) -> datetime:
    """`moment` plus `span`, at most the last moment of all."""
    return min(_bounded(moment), _LAST - span) + span


def check_cron(expression: str, timezone: str, now: datetime) -> None:
    """Raise InvalidCron, with one sentence for the user, unless `expression` is accepted and fires after `now`."""
    parse_cron(expression)
    if next(cron_fires(expression, timezone, now), None) is None:
        raise InvalidCron(f"The cron expression '{expression.strip()}' never fires: no date or time matches it.")


def jitter_offset(schedule_id: UUID, jitter_seconds: int) -> timedelta:
    """How much later than its nominal times a schedule starts: 0 to `jitter_seconds`, whole milliseconds.

    A hash of the id, so that it is the same on all workers and for all times, and schedules spread evenly.
    """
    if not jitter_seconds:
        return timedelta(0)
    digest = hashlib.sha256(b"jitter" + schedule_id.bytes).digest()
    return timedelta(milliseconds=int.from_bytes(digest[:8]) % (jitter_seconds * 1000 + 1))
