"""`make run` as a newcomer meets it: one command, real runs, a clean end, and everything still there afterwards."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler_project.env_file import BASE_DIR, GENERATED_KEYS
from tests.acceptance.conftest import PATIENCE_SECONDS, wait_until

pytestmark = [
    # It brings its own database, whatever the others are tested on: once is enough.
    pytest.mark.sqlite_only,
    pytest.mark.skipif(sys.platform != "linux", reason="reads the process table of Linux"),
]
NOT_COPIED = (".venv", ".git", ".env", "*.db*", "__pycache__", ".*_cache", ".hypothesis", ".coverage*", "tests")


def free_port() -> int:
    """A port that nothing listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def processes_of_session(session: int) -> list[int]:
    """Live processes that belong to a session: what `make run` started, and what that started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, member_of = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue  # it ended while we looked
        if int(member_of) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found


class MakeRun:
    """`make run` in a copy of the checkout."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout
        self.log = checkout / "make.log"
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.api_key = ""

    def start(self) -> None:
        """Start on a free port and wait for the greeting."""
        self.port = free_port()
        unset = {*GENERATED_KEYS, "DATABASE_URL", "API_SCHEDULER_ENV_FILE", "EGRESS_ALLOW_CIDRS", "MAKEFLAGS", "PORT"}
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                # The environment that runs these tests stands in for the one that `make install` would make.
                ["make", "--old-file=install", "run", f"VENV={sys.prefix}", f"PORT={self.port}"],
                cwd=self.checkout,
                env={name: value for name, value in os.environ.items() if name not in unset},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(lambda: "Ctrl-C stops everything" in self.output(), f"no greeting:\n{self.output()}")
        self.api_key = self.told("API key") or self.api_key
        wait_until(self.is_up, f"the web doesn't answer:\n{self.output()}")

    def output(self) -> str:
        """Everything printed since the start."""
        return self.log.read_text(encoding="utf-8")

    def told(self, label: str) -> str:
        """What the greeting says under a label; empty if it doesn't."""
        found = re.search(rf"^  {label} +(.+)$", self.output(), re.MULTILINE)
        return found[1] if found else ""

    def is_up(self) -> bool:
        """Whether the health address answers."""
        try:
            return bool(self.get("health")["database"])
        except (urllib.error.URLError, ConnectionError):
            return False

    def get(self, path: str) -> Any:
        """The answer of the API."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1/{path}", headers={"Authorization": f"Bearer {self.api_key}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def runs(self, **filters: str) -> list[dict[str, Any]]:
        """The runs on record, newest first."""
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        runs: list[dict[str, Any]] = self.get(f"runs?limit=1000&{query}")["results"]
        return runs

    def end(self, number: signal.Signals) -> None:
        """Send a signal to make (SIGINT to its group, as Ctrl-C does) and wait until everything it started is gone."""
        assert self.process is not None
        if number == signal.SIGINT:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        self.process.wait(PATIENCE_SECONDS)
        session = self.process.pid
        wait_until(lambda: not processes_of_session(session), f"left behind:\n{self.output()}")

    def clean_up(self) -> None:
        """Kill whatever a failed test has left."""
        if self.process is not None:
            for pid in processes_of_session(self.process.pid):
                os.kill(pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[MakeRun]:
    """A fresh checkout, not yet started."""
    checkout = tmp_path / "checkout"
    shutil.copytree(BASE_DIR, checkout, ignore=shutil.ignore_patterns(*NOT_COPIED))
    service = MakeRun(checkout)
    yield service
    service.clean_up()


def test_it_makes_real_runs_and_stops_cleanly(service: MakeRun) -> None:
    service.start()
    wait_until(lambda: bool(service.runs(status="success")), f"no run succeeded:\n{service.output()}")
    assert service.told("Administrator").startswith("admin   password   ")
    for kept in (".env", "scheduler.db"):
        assert (service.checkout / kept).stat().st_mode & 0o777 == 0o600
    service.end(signal.SIGTERM)
    assert "Traceback" not in service.output()


def test_it_keeps_everything_when_make_is_killed_and_started_again(service: MakeRun) -> None:
    service.start()
    wait_until(lambda: bool(service.runs(status="success")), f"no run succeeded:\n{service.output()}")
    before = {run["id"]: run["status"] for run in service.runs(status="success")}
    keys = (service.checkout / ".env").read_text(encoding="utf-8")
    service.end(signal.SIGKILL)

    service.start()
    assert service.told("Administrator") == service.told("API key") == ""
    assert (service.checkout / ".env").read_text(encoding="utf-8") == keys
    wait_until(lambda: len(service.runs(status="success")) > len(before), f"no new run:\n{service.output()}")
    runs = service.runs()
    assert before.items() <= {run["id"]: run["status"] for run in runs}.items()
    times = [run["scheduled_at"] for run in runs]
    assert len(times) == len(set(times))
    target = service.get("targets")["results"][0]
    assert target["url"] == f"http://127.0.0.1:{service.port}/api/v1/health"
    service.end(signal.SIGINT)
