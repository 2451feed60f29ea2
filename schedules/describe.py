"""A schedule's timing in words, for people: "every 10 seconds for 5 minutes"."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cron_descriptor import CasingTypeEnum, ExpressionDescriptor, FormatError, Options

from schedules.cron import parse_cron
from schedules.cron_syntax import InvalidCron, split_fields
from schedules.timing import Timing
from schedules.zones import find_zone

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_SINGLE = re.compile(r"^1 (\w+)$")
_CLOCK_TIME = re.compile(r"at \d\d:")
_OPEN_STEP = re.compile(r"(?:\*|\d+)/(\d+)")


def describe(timing: Timing) -> str:
    """What the timing means, in English and 24-hour local time of its zone. Raises ValueError for an unknown zone."""
    if timing.cron_expression is not None:
        return f"{_cron_words(timing.cron_expression)} ({timing.timezone}){_until(timing)}"
    if timing.interval_seconds is not None:
        every = _SINGLE.sub(r"\1", _duration(timedelta(seconds=timing.interval_seconds)))
        if timing.expires_at is None:
            return f"every {every}"
        return f"every {every} for {_duration(timing.expires_at - timing.started_at)}"
    return f"once on {_local(timing.run_at, timing)} ({timing.timezone})" if timing.run_at else "never"


def _until(timing: Timing) -> str:
    return f" until {_local(timing.expires_at, timing)}" if timing.expires_at else ""


def _local(moment: datetime, timing: Timing) -> str:
    local = _in_zone(moment, timing.timezone)
    clock = f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"
    return f"{local.day} {local:%B} {local.year} at {clock}"


def _in_zone(moment: datetime, zone_name: str) -> datetime:
    try:
        return moment.astimezone(find_zone(zone_name))
    except OverflowError:  # the last hours of year 9999
        return moment.astimezone(UTC)


def _duration(length: timedelta) -> str:
    """Days to seconds, zeros left out; parts of a second too."""
    rest, parts = int(length.total_seconds()), []
    for unit, seconds in _UNITS:
        number, rest = divmod(rest, seconds)
        if number:
            parts.append(f"{number} {unit}" if number == 1 else f"{number} {unit}s")
    if not parts:
        return "0 seconds"
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


@lru_cache(maxsize=4096)
def _cron_words(expression: str) -> str:
    """The expression in words; the expression itself where words would be wrong. Cached: it reads a catalogue."""
    try:
        fields, table = split_fields(expression), parse_cron(expression)
    except InvalidCron:
        return f"cron {expression}"
    minute = _listed(fields[0], 60, {time.minute for time in table.times})
    hour = _listed(fields[1], 24, {time.hour for time in table.times})
    options = Options(casing_type=CasingTypeEnum.Sentence, use_24hour_time_format=True, locale_code="en_US")
    try:
        words: str = ExpressionDescriptor(" ".join((minute, hour, *fields[2:])), options).get_description()
    except FormatError:
        return f"cron {expression}"
    # Of two day fields either counts or, with a star, both: no words rather than words that say it wrong.
    if "*" not in (fields[2], fields[4]) and (table.both_day_fields or ", or " not in words):
        return f"cron {expression}"
    words = words[:1].lower() + words[1:]
    return f"every day {words}" if fields[2:] == ("*", "*", "*") and _CLOCK_TIME.match(words) else words


def _listed(text: str, cycle: int, values: Collection[int]) -> str:
    """A step that does not divide the cycle, as a list: */45 is not "every 45 minutes" but at 0 and 45."""
    step = _OPEN_STEP.fullmatch(text)
    if step is None or cycle % int(step[1]) == 0:
        return text
    return ",".join(str(value) for value in sorted(values))
