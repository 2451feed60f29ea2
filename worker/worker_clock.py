"""Two clocks: the database's decides what is due, the monotonic one measures. This maps the second to the first."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from schedules.clock import database_now


class WorkerClock:
    """Reads the database's time once per tick and places monotonic moments on it."""

    def __init__(
        self, *, monotonic: Callable[[], float] = time.monotonic, read: Callable[[], datetime] = database_now
    ) -> None:
        self.monotonic = monotonic
        self.read = read
        self._anchor = (monotonic(), datetime.now(UTC))

    def anchor(self, now: datetime) -> None:
        """From here on, this very moment is `now` on the database's clock."""
        self._anchor = (self.monotonic(), now)

    def at(self, moment: float) -> datetime:
        """The database's time at a monotonic moment."""
        anchored, now = self._anchor
        return now + timedelta(seconds=moment - anchored)

    def now(self) -> datetime:
        """The database's time by now, without asking it."""
        return self.at(self.monotonic())
