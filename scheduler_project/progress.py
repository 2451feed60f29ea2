"""Progress of commands that take long: a line on standard error every two seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS = 2.0


class Progress:
    """Passes on one sentence per two seconds, and none to whom the work is done sooner."""

    def __init__(self, write: Callable[[str], object], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._monotonic = monotonic
        self._last = monotonic()

    def say(self, sentence: str) -> None:
        """Write the sentence if the last one is long enough ago."""
        now = self._monotonic()
        if now - self._last >= SECONDS:
            self._last = now
            self._write(sentence)
