"""A wrong wall clock for this process: `time.time`, `datetime.now` and what is built on them.

Must be called before the modules that shall see it import `datetime`. The monotonic clock stays as it is, as it would
on a real machine.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from typing import Any

NANOSECONDS = 1_000_000_000


def _standing_in_for(real: type) -> type:
    """A metaclass for a class that makes instances of `real` and passes for it in isinstance and issubclass."""

    class StandIn(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, real)

        def __subclasscheck__(cls, kind: type) -> bool:
            return issubclass(kind, real)

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            return real(*args, **kwargs)

    return StandIn


def shift_wall_clock(seconds: int) -> None:
    """Let this process believe that it is `seconds` later than it is."""
    shift = datetime.timedelta(seconds=seconds)
    real, real_date = datetime.datetime, datetime.date

    def now(tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return real.now(tz) + shift

    stand_in = _standing_in_for(real)
    present = {
        "now": staticmethod(now),
        "today": staticmethod(now),
        "utcnow": staticmethod(lambda: now(datetime.UTC).replace(tzinfo=None)),
    }
    datetime.datetime = stand_in("datetime", (real,), present)  # type: ignore[misc]
    today = {"today": staticmethod(lambda: now().date())}
    datetime.date = _standing_in_for(real_date)("date", (real_date,), today)  # type: ignore[misc]
    _shift_time(seconds)


def _shift_time(seconds: int) -> None:
    real_time, real_nanoseconds = time.time, time.time_ns
    time.time = lambda: real_time() + seconds
    time.time_ns = lambda: real_nanoseconds() + seconds * NANOSECONDS

    def of_now(original: Callable[..., Any]) -> Callable[..., Any]:
        return lambda moment=None: original(time.time() if moment is None else moment)

    time.localtime = of_now(time.localtime)
    time.gmtime = of_now(time.gmtime)
