"""SIGTERM and SIGINT: the first asks the worker to end well, a second one ends it now."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from types import FrameType

# A Ctrl-C reaches the whole process group, and the parent forwards it as well: that is one request, not two.
ONE_REQUEST_SECONDS = 1.0
LAST_WORDS = b"second signal: ending now; runs in flight are left to the other workers\n"


class StopSignals:
    """Handlers that only set a flag and wake the loop."""

    def __init__(
        self,
        *,
        wake: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
        exit_now: Callable[[int], object] = os._exit,
    ) -> None:
        self._wake = wake
        self._monotonic = monotonic
        self._exit_now = exit_now
        self.requested_at: float | None = None

    @property
    def requested(self) -> bool:
        """Whether the worker should end."""
        return self.requested_at is not None

    def install(self) -> None:
        """Handle SIGTERM and SIGINT from here on. Only in the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle)

    def handle(self, _number: int, _frame: FrameType | None) -> None:
        """A signal came."""
        if self.requested_at is not None and self._monotonic() - self.requested_at > ONE_REQUEST_SECONDS:
            # Not through logging: the interrupted thread may hold its locks.
            os.write(2, LAST_WORDS)
            self._exit_now(1)
        self.request()

    def request(self) -> None:
        """Ask the worker to end; asking again changes nothing."""
        if self.requested_at is None:
            self.requested_at = self._monotonic()
        self._wake()
