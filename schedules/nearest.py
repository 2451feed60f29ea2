"""The fire just before a moment: recurrence only looks ahead."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice

from schedules.recurrence import fires, next_fire
from schedules.timing import Timing

_FIRST_SPAN = timedelta(seconds=1)
_GROWTH = 8
# A rare cron is cheap to walk and dear to probe, a dense one the other way round: some steps, then one probe.
_STEPS = 50


def previous_fire(timing: Timing, before: datetime) -> datetime | None:
    """The last nominal time strictly earlier than `before` within the window, UTC; None where there is none."""
    low = _some_fire(timing, before)
    high = before
    while low is not None:
        for step in islice(fires(timing, low), _STEPS):
            if step >= before:
                return low
            low = step
        middle = low + (high - low) / 2
        probe = next_fire(timing, middle)
        if probe is not None and probe < before:
            low = probe
        elif high - low <= _FIRST_SPAN:
            # The window ends after `low`: nothing follows at all.
            return low
        else:
            high = middle
    return None


def _some_fire(timing: Timing, before: datetime) -> datetime | None:
    """A fire before the moment: the first one of growing stretches that end there."""
    span = _FIRST_SPAN
    while before - span > timing.started_at:
        found = next_fire(timing, before - span)
        if found is not None and found < before:
            return found
        span = min(span * _GROWTH, before - timing.started_at)
    found = next_fire(timing, timing.started_at - _FIRST_SPAN)
    return found if found is not None and found < before else None
