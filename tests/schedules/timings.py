"""Timings for tests: an interval, a cron and a once, each overridable by keyword."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from schedules.timing import Timing

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_EMPTY = Timing("", START, None, None, None, None, "UTC")


def every(seconds: int, **fields: Any) -> Timing:
    """An interval from `START`."""
    return replace(_EMPTY, schedule_type="interval", interval_seconds=seconds, **fields)


def cron(expression: str, timezone: str = "UTC", **fields: Any) -> Timing:
    """A cron schedule from `START`."""
    return replace(_EMPTY, schedule_type="cron", cron_expression=expression, timezone=timezone, **fields)


def once(run_at: datetime, **fields: Any) -> Timing:
    """A single fire."""
    return replace(_EMPTY, schedule_type="once", run_at=run_at, **fields)
