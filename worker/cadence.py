"""A timer for what happens every so often inside the loop."""

from __future__ import annotations

from collections.abc import Callable


class Cadence:
    """Due once per `seconds`, first after one full period. Missed periods are not made up for."""

    def __init__(self, seconds: float, *, monotonic: Callable[[], float]) -> None:
        self.seconds = seconds
        self._monotonic = monotonic
        self._due_at = monotonic() + seconds

    def due(self) -> bool:
        """Whether the period is over."""
        return self.seconds_left() <= 0

    def seconds_left(self) -> float:
        """Until it is due; negative when overdue."""
        return self._due_at - self._monotonic()

    def restart(self, seconds: float | None = None) -> None:
        """Begin a new period, of `seconds` this time if given."""
        self._due_at = self._monotonic() + (self.seconds if seconds is None else seconds)
