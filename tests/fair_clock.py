"""A clock for deadlines in tests: it runs as long as the machine lets this process run, and stands still otherwise.

A bound in seconds of a wall clock fails on a machine that has something else to do, or is widened until it proves
nothing. In seconds of this clock it can be what the product promises:

    with FairClock() as clock:
        began = clock()
        ...
        assert clock() - began <= 1

A thread asks to be woken every PERIOD. What passes until it is counts up to ALLOWED, and beyond that only as far as
this process itself was at work: a computation that holds everything up is the product's fault and counts in full.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType

PERIOD = 0.01
ALLOWED = 2 * PERIOD


class FairClock:
    """Monotonic seconds without those in which this process was kept from running. Any thread may ask."""

    def __init__(self) -> None:
        """It runs from here on."""
        self._fair = 0.0
        self._seen = time.monotonic()
        self._work = time.process_time()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fair-clock", daemon=True)
        self._thread.start()

    def __call__(self) -> float:
        """Seconds since it began."""
        with self._lock:
            return self._fair + self._counted(time.monotonic(), time.process_time())

    def close(self) -> None:
        """End the thread."""
        self._over.set()
        self._thread.join()

    def _counted(self, now: float, work: float) -> float:
        return min(now - self._seen, max(ALLOWED, work - self._work))

    def _run(self) -> None:
        while not self._over.wait(PERIOD):
            with self._lock:
                now, work = time.monotonic(), time.process_time()
                self._fair += self._counted(now, work)
                self._seen, self._work = now, work

    def __enter__(self) -> FairClock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
