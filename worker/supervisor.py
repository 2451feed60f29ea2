"""Several worker processes under one parent, which holds no connection and no thread."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType

from worker.shutdown import ONE_REQUEST_SECONDS

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
# A child that lived this long has shown that it can: the pauses start again from the first.
HEALTHY_SECONDS = 60.0
PARENT_WATCH_SECONDS = 0.5


@dataclass(slots=True)
class Child:
    """One worker process: its command line, and the core that it is pinned to."""

    command: Sequence[str]
    core: int | None
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    failures: int = 0


class Supervisor:
    """Starts a process per command, restarts one that dies, forwards signals, waits for all.

    Args:
        commands: one command line per process.
        restart: whether a process that ended comes back; False for processes that end on their own, whose failure is
            then the parent's.
    """

    def __init__(self, commands: Sequence[Sequence[str]], *, restart: bool) -> None:
        cores = _cores()
        self._children = [
            Child(command, core=cores[number % len(cores)] if cores else None)
            for number, command in enumerate(commands)
        ]
        self._restart = restart
        self._signals: list[float] = []
        self._forwarded = 0
        self._failed = False
        self._wake_read, self._wake_write = os.pipe()

    def run(self) -> int:
        """Supervise until all processes have ended for good; the exit code."""
        self._catch_signals()
        while True:
            self._forward()
            self._reap()
            if not self._stopping():
                self._start_due()
            if not any(self._is_expected(child) for child in self._children):
                break
            self._sleep()
        return 1 if self._failed else 0

    def _catch_signals(self) -> None:
        # Handlers only note and wake; SIGCHLD has one so that the pipe hears of it.
        for end in (self._wake_read, self._wake_write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _do_nothing)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note_stop)

    def _note_stop(self, _number: int, _frame: FrameType | None) -> None:
        moment = time.monotonic()
        if not self._signals or moment - self._signals[0] > ONE_REQUEST_SECONDS:
            self._signals.append(moment)

    def _stopping(self) -> bool:
        return bool(self._signals)

    def _forward(self) -> None:
        while self._forwarded < len(self._signals):
            self._forwarded += 1
            logger.info("stopping the worker processes", extra={"action": "supervisor_stopping"})
            for child in self._children:
                if child.process is not None:
                    child.process.terminate()

    def _reap(self) -> None:
        for child in self._children:
            if child.process is None or (code := child.process.poll()) is None:
                continue
            lived = time.monotonic() - child.started_at
            child.process = None
            if self._stopping() or not self._restart:
                self._failed = self._failed or not self._ended_well(code)
                continue
            child.failures = 1 if lived >= HEALTHY_SECONDS else child.failures + 1
            pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(child.failures - 1, 10))
            child.start_at = time.monotonic() + pause
            logger.warning(
                "a worker process ended with exit code %d; the next starts in %g s",
                code,
                pause,
                extra={"action": "worker_process_died", "exit_code": code},
            )

    def _start_due(self) -> None:
        for child in self._children:
            if child.process is None and self._is_expected(child) and time.monotonic() >= child.start_at:
                child.started_at = time.monotonic()
                child.process = subprocess.Popen(child.command)  # noqa: S603 - our own command line
                _pin(child.process.pid, child.core)

    def _ended_well(self, code: int) -> bool:
        # A worker that has begun work handles the signal: the one that dies of it was still starting.
        return code == 0 or (self._stopping() and code == -signal.SIGTERM)

    def _is_expected(self, child: Child) -> bool:
        """Whether the child runs, or will."""
        if child.process is not None:
            return True
        return not self._stopping() and (self._restart or not child.started_at)

    def _sleep(self) -> None:
        # One that has come due since it was looked at counts too: nothing else would end the wait.
        starts = [child.start_at for child in self._children if child.process is None and self._is_expected(child)]
        wait = max(0.0, min(starts) - time.monotonic()) if starts else None
        select.select([self._wake_read], [], [], wait)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)


def watch_parent(parent_pid: int, on_gone: Callable[[], None]) -> None:
    """Call `on_gone`, from a thread, as soon as `parent_pid` is no longer this process's parent.

    A parent that was killed with SIGKILL can't forward anything; its workers must not run on unsupervised.
    """

    def watch() -> None:
        while os.getppid() == parent_pid:
            time.sleep(PARENT_WATCH_SECONDS)
        on_gone()

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    pass


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _pin(pid: int, core: int | None) -> None:
    if core is not None:
        # It may have ended already; that is for _reap.
        with contextlib.suppress(OSError):
            os.sched_setaffinity(pid, {core})
