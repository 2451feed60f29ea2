"""The fire just before a moment: recurrence only looks ahead."""

from __future__ import annotations

from datetime import datetime, timedelta

from schedules.recurrence import next_fire
from schedules.timing import Timing

# Two fires are never closer than this (an interval is at least a second, a cron field a minute).
_RESOLUTION = timedelta(milliseconds=500)


def previous_fire(timing: Timing, before: datetime) -> datetime | None:
    """The last nominal time strictly earlier than `before` within the window, UTC; None where there is none.

    Looks back in doubling spans until a fire turns up, then halves the rest: some forty steps whatever the rhythm.
    """
    span = timedelta(seconds=1)
    low = next_fire(timing, before - span)
    while low is None or low >= before:
        if before - span < timing.started_at:
            return None
        span *= 2
        low = next_fire(timing, max(before - span, timing.started_at - timedelta(seconds=1)))
    high = before
    while high - low > _RESOLUTION:
        middle = low + (high - low) / 2
        found = next_fire(timing, middle)
        if found is not None and found < before:
            low = found
        else:
            high = middle
    return low
