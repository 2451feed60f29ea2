"""Cron expressions as moments: which wall-clock times match, and what clock changes make of them.

The rules are those of Debian's cron(8), "daylight saving time and other time changes":

- *Fixed* jobs (neither the minute nor the hour field starts with `*`) run once for each time they name: at the first
  existing minute where clocks jump over it, at the first of two where it comes twice.
- *Wildcard* jobs follow the clock: no run at a time that does not exist, one in each pass of a time that comes twice.
- A day matches if either day field does; if one of them starts with `*`, both must.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from croniter import croniter

from schedules.cron_syntax import InvalidCron, split_fields
from schedules.zones import find_zone, first_existing, next_offset_change, utc_offset, wall_clock

# No date that matches at all is further from the next: 29 February on a Sunday, across 2100, waits 40 years.
_BARREN_MONTHS = 50 * 12
_BARREN_CHANGES = 120
_MINUTE = timedelta(minutes=1)
# No change moves a wall clock by more: what a change repeats or leaves out lies within this of it.
_AROUND = timedelta(days=2)


class CronFire(NamedTuple):
    """One fire. `at` is UTC; `wall` is the local time that the expression names; `dropped` the first local time
    that matches but was jumped over since the fire before (wildcard jobs), else None.
    """

    at: datetime
    wall: datetime
    dropped: datetime | None = None


@dataclass(frozen=True, slots=True)
class CronTable:
    """An expression, expanded: what a wall clock is compared with."""

    fixed: bool
    times: tuple[time, ...]
    months: frozenset[int]
    days: frozenset[int]
    last_day: bool
    # ISO weekday modulo 7 (Sunday is 0) -> which of that weekday in the month, empty for each.
    weekdays: dict[int, frozenset[int]]
    both_day_fields: bool

    def matches(self, day: date, last: int) -> bool:
        """Whether a job runs on `day`, in a month of `last` days; the month itself is not looked at."""
        of_month = day.day in self.days or (self.last_day and day.day == last)
        which = self.weekdays.get(day.isoweekday() % 7)
        of_week = which is not None and (not which or (day.day - 1) // 7 + 1 in which)
        return of_month and of_week if self.both_day_fields else of_month or of_week

    def dates(self, start: date) -> Iterator[date]:
        """Matching dates from `start` on, until year 9999 or 50 years without any."""
        year, month, barren = start.year, start.month, 0
        while year <= MAXYEAR and barren < _BARREN_MONTHS:
            barren += 1
            if month in self.months:
                last = _days_in_month(year, month)
                for number in range(start.day if (year, month) == (start.year, start.month) else 1, last + 1):
                    day = date(year, month, number)
                    if self.matches(day, last):
                        barren = 0
                        yield day
            year, month = (year + 1, 1) if month == 12 else (year, month + 1)

    def walls(self, after: datetime) -> Iterator[datetime]:
        """Matching wall-clock times (naive) in the minutes later than that of `after` (naive)."""
        minute = after.time().replace(second=0, microsecond=0)
        for day in self.dates(after.date()):
            first = bisect_right(self.times, minute) if day == after.date() else 0
            for index in range(first, len(self.times)):
                yield datetime.combine(day, self.times[index])


def _days_in_month(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


@lru_cache(maxsize=4096)
def parse_cron(expression: str) -> CronTable:
    """Expand an expression or nickname; raises InvalidCron. Cached: this runs inside the enqueue transaction."""
    fields = split_fields(expression)
    try:
        expanded, nth = croniter.expand(" ".join(fields))
    except ValueError as error:
        raise InvalidCron(f"The cron expression '{expression.strip()}' is not understood.") from error
    minutes, hours, days, months, weekdays = (
        range(low, high + 1) if "*" in values else [value for value in values if isinstance(value, int)]
        for values, (low, high) in zip(expanded, croniter.RANGES, strict=False)
    )
    counted = {int(day): frozenset(numbers) for day, numbers in nth.items()}
    return CronTable(
        fixed=not fields[0].startswith("*") and not fields[1].startswith("*"),
        times=tuple(time(hour, minute) for hour in hours for minute in minutes),
        months=frozenset(months),
        days=frozenset(days),
        last_day="l" in expanded[2],
        weekdays={day: counted.get(day, frozenset()) for day in weekdays},
        both_day_fields=fields[2].startswith("*") or fields[4].startswith("*"),
    )


def cron_fires(expression: str, zone_name: str, after: datetime) -> Iterator[CronFire]:
    """Fires strictly later than `after` (aware), in order, until year 9999; ends early if there are no more.

    Raises InvalidCron for an expression that is not accepted, ValueError for an unknown zone.
    """
    table, zone = parse_cron(expression), find_zone(zone_name)
    return _fixed_fires(table, zone, after) if table.fixed else _wildcard_fires(table, zone, after)


def _fixed_fires(table: CronTable, zone: ZoneInfo, after: datetime) -> Iterator[CronFire]:
    """Each named time once. Several times inside one jump fall together on the first existing minute."""
    last = after
    try:
        for wall in table.walls(wall_clock(after, zone)):
            at = first_existing(wall, zone)
            if at > last:  # else `after` is in the second pass of a repeated hour, or the jump was used up
                last = at
                yield CronFire(at, wall)
    except OverflowError:
        return  # the local year 9999 ends before or after the UTC one


def _wildcard_fires(table: CronTable, zone: ZoneInfo, after: datetime) -> Iterator[CronFire]:
    """Walk the stretches of constant offset one by one; inside a stretch wall clock and UTC are one apart.

    Far from the next matching wall time nothing can fire, and so clock changes there don't count: they are jumped over,
    or a rare expression would cost a look at every day of the centuries that it waits.
    """
    last, barren, dropped = after, 0, None
    try:
        offset = utc_offset(zone, after)
        walls = table.walls(wall_clock(after, zone))
        while barren < _BARREN_CHANGES:
            wall = next(walls, None)
            if wall is None:
                return
            at = (wall - offset).replace(tzinfo=UTC)
            far = at - last > 2 * _AROUND
            change = next_offset_change(zone, last, last + _AROUND if far else at)
            if far and change is None:
                last = at - _AROUND
                offset = utc_offset(zone, last)
                walls = table.walls(wall_clock(last, zone))
                continue
            if change is None:
                yield CronFire(at, wall, dropped)
                last, barren, dropped = at, 0, None
                continue
            # The clock changes first: go on from the new wall clock, its first minute included.
            last, barren = change, barren + 1
            local = wall_clock(change, zone)
            if wall < local:
                dropped = dropped or wall
            offset = utc_offset(zone, change)
            walls = table.walls(local - _MINUTE)
    except OverflowError:
        return
