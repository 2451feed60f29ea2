"""When the loop looks again: as soon as something is due, and never in a busy loop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime


def seconds_to_sleep(
    moments: Sequence[datetime], *, seen_at: datetime, now: datetime, found_work: bool, at_most: Iterable[float]
) -> float:
    """How long to sleep after a tick.

    Args:
        moments: when the next schedule is due and the next Run ready, as far as known.
        seen_at: the database's time that the tick worked with.
        now: the database's time by now.
        found_work: whether the tick got anything done.
        at_most: upper bounds in seconds, the poll interval among them.
    """
    waits = [*at_most]
    for moment in moments:
        if moment > seen_at:
            waits.append((moment - now).total_seconds())
        elif found_work:
            # There was more than one batch.
            waits.append(0.0)
        # Else the tick saw it and got nothing, because another worker has it locked: looking again at once would be
        # a busy loop.
    return max(0.0, min(waits))
