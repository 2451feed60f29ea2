"""The fires ahead, of a saved schedule or of one that isn't saved yet."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings

from schedules.drafts import refuse, remaining_runs, settle_timing, timing_of
from schedules.errors import computable_timing
from schedules.models import Schedule
from schedules.recurrence import Fire, Timing, upcoming
from schedules.validators import check_values
from targets.errors import InvalidFields


def preview_saved(schedule: Schedule, *, after: datetime, count: int) -> list[Fire]:
    """The next nominal times strictly after `after`, whatever the status: start, end and remaining runs count.

    Raises:
        schedules.errors.WrongState: the timing can't be computed.
    """
    with computable_timing():
        return _preview(timing_of(schedule), remaining_runs(schedule), after=after, count=count)


def preview_draft(fields: Mapping[str, Any], *, after: datetime, count: int, now: datetime) -> list[Fire]:
    """The same for a schedule that isn't saved, from its timing fields and `max_runs`; without `start_at` from `after`.

    Raises:
        targets.errors.InvalidFields: names every field that can't be accepted.
    """
    values = {"timezone": settings.SCHEDULER_TIME_ZONE, **fields}
    if values.get("schedule_type") is None:
        raise InvalidFields({"schedule_type": "Is required."})
    refuse(check_values(values))
    timing = settle_timing(values, created_at=after, now=now)
    return _preview(timing, values.get("max_runs"), after=after, count=count)


def _preview(timing: Timing, remaining: int | None, *, after: datetime, count: int) -> list[Fire]:
    wanted = count if remaining is None else min(count, remaining)
    return upcoming(timing, after, wanted) if wanted else []
