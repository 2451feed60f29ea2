"""Runs the web and the worker as children of one process: both up, or both down."""

from __future__ import annotations

import ctypes
import math
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

LOOK_SECONDS = 0.2
# A child that ends more often than this within the window doesn't come back by being started again.
MOST_RESTARTS = 5
RESTART_WINDOW_SECONDS = 60.0
# The terminal, make and a service manager may each pass on the same wish; a second one means "now".
ONE_REQUEST_SECONDS = 1.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Child:
    """One program to keep running. `keep_fds` are open files that it inherits."""

    name: str
    command: Sequence[str]
    keep_fds: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    start_at: float = 0.0
    ends: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_RESTARTS + 1))


class ProcessGroup:
    """Starts children in order, restarts one that dies, stops them in reverse order on a signal.

    Args:
        children: what to run; the first is stopped last.
        directory: where the children run.
        environment: the children's environment.
        grace_seconds: how long a child may take to end before it is killed.
        pause_seconds: how long a child that died stays down.
        say: prints one line for the user.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        directory: Path,
        environment: Mapping[str, str],
        grace_seconds: float,
        say: Callable[[str], object],
        pause_seconds: float = 1.0,
    ) -> None:
        self._children = children
        self._directory = directory
        self._environment = environment
        self._grace_seconds = grace_seconds
        self._say = say
        self._pause_seconds = pause_seconds
        self._signals = 0
        self._signalled_at = -math.inf

    def run(self, *, stop_with_parent: bool = False) -> int:
        """Run until a signal comes, a child can't be kept up, or (if asked) our parent is gone.

        Returns:
            The exit code: 0 after a stop that was asked for, 1 after a child that can't be kept up.
        """
        parent = os.getppid()
        previous = {number: signal.signal(number, self._on_signal) for number in STOP_SIGNALS}
        try:
            while not self._signals and not (stop_with_parent and os.getppid() != parent):
                failed = next((child for child in self._children if not self._keep_up(child)), None)
                if failed is not None:
                    self._say(f"The {failed.name} process keeps ending; the lines above say why. Stopping.")
                    return 1
                time.sleep(LOOK_SECONDS)
            return 0
        finally:
            for child in reversed(self._children):
                self._stop(child)
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _keep_up(self, child: Child) -> bool:
        now = time.monotonic()
        if child.process is not None:
            code = child.process.poll()
            if code is None:
                return True
            child.process = None
            child.ends.append(now)
            child.start_at = now + self._pause_seconds
            if len(child.ends) > MOST_RESTARTS and now - child.ends[0] < RESTART_WINDOW_SECONDS:
                return False
            self._say(f"The {child.name} process ended (exit code {code}); starting it again.")
        if now >= child.start_at:
            child.process = self._spawn(child)
        return True

    def _spawn(self, child: Child) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own command lines
            child.command,
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            pass_fds=child.keep_fds,
            # Ctrl-C goes to the terminal's process group: only we shall get it, and stop the children in order.
            process_group=0,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - no threads here
        )

    def _stop(self, child: Child) -> None:
        if child.process is None or child.process.poll() is not None:
            return
        child.process.terminate()
        seen, deadline = self._signals, time.monotonic() + self._grace_seconds
        while child.process.poll() is None:
            if time.monotonic() > deadline or self._signals > seen:
                child.process.kill()
                child.process.wait()
            time.sleep(LOOK_SECONDS / 4)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._signalled_at > ONE_REQUEST_SECONDS:
            self._signals += 1
            self._signalled_at = now


def _die_with_parent() -> None:
    """Have the kernel end the child if we are killed without a chance to do it (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
