"""When a schedule fires, as a value: the only thing that the time arithmetic knows of a schedule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Timing:
    """The timing fields of one schedule. Datetimes are aware; exactly the field of the type is set.

    `schedule_type` is interval, cron or once; `timezone` is an IANA name and matters to cron and to words only.
    `expires_at` is inclusive, None is "never".
    """

    schedule_type: str
    started_at: datetime
    expires_at: datetime | None
    interval_seconds: int | None
    cron_expression: str | None
    run_at: datetime | None
    timezone: str
