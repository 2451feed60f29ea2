"""The one thing that ends a call that takes too long, wherever it hangs.

A socket's own timeout is per read: a target that sends a byte now and then is never late. So one thread keeps the
deadlines of all sockets in use and shuts down the late ones, which wakes whoever reads from or writes to them.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from contextlib import suppress


class Watch:
    """A socket and its deadline, from `Watchdog.watch` until `Watchdog.release`."""

    __slots__ = ("deadline", "fired", "socket")

    def __init__(self, handle: socket.socket, deadline: float) -> None:
        """`handle` is owned by the watch; `deadline` is on the monotonic clock."""
        self.socket = handle
        self.deadline = deadline
        self.fired = False


class Watchdog:
    """Shuts sockets down at their deadlines. Its thread starts with the first watch."""

    def __init__(self) -> None:
        """Nothing is watched yet."""
        # No heap: calls mostly end long before their deadlines, so entries would pile up in it, while looking through
        # the sockets in use happens about once per time-out.
        self._watches: set[Watch] = set()
        self._changed = threading.Condition()
        self._wakes_at = 0.0
        self._running = False
        self._closed = False

    def watch(self, sock: socket.socket, deadline: float) -> Watch:
        """Shut `sock` down at `deadline` (monotonic seconds), unless released before.

        The watch holds a duplicate: the number of a closed descriptor may already belong to another call's socket.
        """
        entry = Watch(socket.fromfd(sock.fileno(), sock.family, sock.type), deadline)
        with self._changed:
            self._watches.add(entry)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="watchdog", daemon=True).start()
            elif deadline < self._wakes_at:
                self._changed.notify()
        return entry

    def release(self, entry: Watch) -> bool:
        """End a watch; True where its deadline had come."""
        with self._changed:
            self._watches.discard(entry)
            entry.socket.close()
            if self._closed and not self._watches:
                self._changed.notify()
            return entry.fired

    def close(self) -> None:
        """Let the thread end once nothing is watched any more."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while self._watches or not self._closed:
                now = time.monotonic()
                for entry in [entry for entry in self._watches if entry.deadline <= now]:
                    self._fire(entry)
                self._wakes_at = min((entry.deadline for entry in self._watches), default=math.inf)
                self._changed.wait(min(self._wakes_at - now, threading.TIMEOUT_MAX))
            self._running = False

    def _fire(self, entry: Watch) -> None:
        self._watches.discard(entry)
        entry.fired = True
        # The other side may have closed it already.
        with suppress(OSError):
            entry.socket.shutdown(socket.SHUT_RDWR)
