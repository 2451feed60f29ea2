"""Real worker processes against a real target, with a deadline on every wait."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runs.models import Run
from runs.services import run_now
from schedules.clock import database_now
from schedules.models import Schedule
from tests.factories import make_schedule, make_target
from tests.http_target import RecordingTarget

CHECKOUT = Path(__file__).resolve().parents[2]
# Long enough for a loaded machine; no test needs it when all is well.
PATIENCE_SECONDS = 60


def wait_until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Look again and again until the condition holds.

    Raises:
        AssertionError: it did not within `seconds`; `what` says which.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


class Workers:
    """Starts `manage.py runscheduler` on the test's database and leaves none behind."""

    def __init__(self, database_url: str, directory: Path) -> None:
        self.started: list[subprocess.Popen[bytes]] = []
        self.directory = directory
        self.environment = {
            **os.environ,
            "DATABASE_URL": database_url,
            "API_SCHEDULER_ENV_FILE": os.devnull,
            "EGRESS_ALLOW_CIDRS": "127.0.0.0/8",
            "WORKER_POLL_SECONDS": "0.1",
            "WORKER_LEASE_SECONDS": "2",
            "WORKER_DRAIN_SECONDS": "10",
            # A name server that does not answer must not take longer than the test has patience.
            "RES_OPTIONS": "timeout:1 attempts:1",
        }

    def start(self, *options: str, **settings: str) -> subprocess.Popen[bytes]:
        """Start a worker; settings override the environment."""
        return self._start(["manage.py", "runscheduler", *options], settings)

    def start_crashing(self, point: str, *options: str) -> subprocess.Popen[bytes]:
        """Start a worker that kills itself at a point that tests.acceptance.crashing_worker knows."""
        return self._start(["-m", "tests.acceptance.crashing_worker", point, *options], {})

    def start_altered(self, what: str, *options: str, **settings: str) -> subprocess.Popen[bytes]:
        """Start a worker that freezes or has a wrong clock, as tests.guarantees.altered_worker says."""
        return self._start(["-m", "tests.guarantees.altered_worker", what, *options], settings)

    def _start(self, arguments: list[str], settings: dict[str, str]) -> subprocess.Popen[bytes]:
        log = self.directory / f"worker-{len(self.started)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=CHECKOUT,
                env={**self.environment, **settings},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.started.append(process)
        return process

    def log(self, number: int = 0) -> str:
        """What the worker printed so far."""
        return (self.directory / f"worker-{number}.log").read_text(encoding="utf-8")

    def stop(self, process: subprocess.Popen[bytes]) -> int:
        """Ask politely; the exit code."""
        process.send_signal(signal.SIGTERM)
        return process.wait(PATIENCE_SECONDS)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL: nothing is cleaned up."""
        process.kill()
        process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        """Kill what still runs."""
        for process in self.started:
            if process.poll() is None:
                self.kill(process)


@pytest.fixture
def workers(database_url: str, tmp_path: Path) -> Iterator[Workers]:
    """The test's worker processes."""
    running = Workers(database_url, tmp_path)
    yield running
    running.close()


@pytest.fixture
def target() -> Iterator[RecordingTarget]:
    """The test's target."""
    with RecordingTarget() as server:
        yield server


def paused_schedule(url: str, *, target_fields: dict[str, Any] | None = None, **fields: Any) -> Schedule:
    """A schedule that runs only when told to."""
    aim = make_target(url=url, **(target_fields or {}))
    return make_schedule(aim, status="paused", next_run_at=None, **fields)


def call(url: str, *, target_fields: dict[str, Any] | None = None, **fields: Any) -> Run:
    """A Run of the URL that is due now."""
    schedule = paused_schedule(url, target_fields=target_fields, **fields)
    return run_now(schedule_id=schedule.id, now=database_now())


def ended(run: Run) -> Run:
    """The Run, as soon as it has ended."""
    wait_until(lambda: not Run.objects.filter(id=run.id).active().exists(), f"run {run.id} ends")
    return Run.objects.get(id=run.id)
