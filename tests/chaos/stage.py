"""Everything a run needs: a durable database, targets, workers; and the hands that break them."""

from __future__ import annotations

import heapq
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg

from tests.chaos.fleet import CHECKOUT, Fleet
from tests.chaos.plan import DRAIN_SECONDS, LEASE_SECONDS, POLL_SECONDS, SKEWS, Fault, Kind
from tests.pg_plugin import ENVIRONMENT
from tests.postgres_server import PostgresServer

SEATS = 40
TARGETS = 2
# Schedules of the burst are written so long before they are due.
BURST_NOTICE = 3.0
OF_ONE_WORKER = (Kind.KILL, Kind.TERMINATE, Kind.FREEZE, Kind.SLOW_TO_RETURN)
# Less than a lease, within which nobody may judge others after an outage.
SLOW_SECONDS = 2.3


class Stage:
    """Built on entry, torn down on exit; logs stay in `directory`."""

    def __init__(self, *, mutation: str, settings: dict[str, str]) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="chaos-"))
        self.server = PostgresServer(durable=True)
        self.environment = {
            **ENVIRONMENT,
            "DATABASE_URL": self.server.url(),
            "EGRESS_ALLOW_CIDRS": "127.0.0.0/8",
            "WORKER_POLL_SECONDS": str(POLL_SECONDS),
            "WORKER_LEASE_SECONDS": str(LEASE_SECONDS),
            "WORKER_DRAIN_SECONDS": str(DRAIN_SECONDS),
            "MAX_CONCURRENT_JOBS": str(SEATS),
            **settings,
        }
        self._others: list[subprocess.Popen[bytes]] = []
        self.target_logs = [self.directory / f"target-{number}.jsonl" for number in range(TARGETS)]
        self.ports = [int(self.spawn("tests.chaos.logging_target", str(log))) for log in self.target_logs]
        self.targets = list(self._others)
        self.fleet = Fleet(self.directory, self.environment, skews=SKEWS, mutation=mutation)
        self._agenda: list[tuple[float, int, Callable[[], object]]] = []
        self._counter = itertools.count()
        self.told: list[str] = []
        self.write_burst: Callable[[], object] = lambda: None

    @property
    def bases(self) -> list[str]:
        """The targets' addresses."""
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    def prepare_database(self) -> None:
        """Migrate, and let this process's Django use it."""
        os.environ.update(self.environment)
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scheduler_project.settings")
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)

    def connect(self) -> psycopg.Connection[Any]:
        """A connection of the harness's own."""
        return psycopg.connect(self.server.url(), autocommit=True)

    def spawn(self, module: str, *arguments: str) -> str:
        """Start a module as a process; the first line it prints."""
        process = subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=CHECKOUT, stdout=subprocess.PIPE)
        self._others.append(process)
        assert process.stdout is not None
        return str(process.stdout.readline(), "utf-8").strip()

    # --- What goes wrong, and when ----------------------------------------------------------------------------

    def at(self, moment: float, act: Callable[[], object]) -> None:
        """Do something at a moment (monotonic)."""
        heapq.heappush(self._agenda, (moment, next(self._counter), act))

    def do_what_is_due(self) -> None:
        """Whatever the agenda has for now."""
        while self._agenda and self._agenda[0][0] <= time.monotonic():
            heapq.heappop(self._agenda)[2]()

    def plan(self, fault: Fault, zero: float) -> None:
        """Put a fault on the agenda."""
        notice = BURST_NOTICE if fault.kind is Kind.BURST else 0
        self.at(zero + fault.at - notice, lambda: self._strike(fault, zero))

    def _strike(self, fault: Fault, zero: float) -> None:
        acts: dict[Kind, Callable[[], object]] = {
            Kind.KILL: lambda: self.fleet.kill(fault.worker),
            Kind.TERMINATE: lambda: self.fleet.terminate(fault.worker),
            Kind.FREEZE: lambda: self._freeze(fault),
            Kind.RESTART_FAST: lambda: self._restart(fault, fast=True),
            Kind.RESTART_IMMEDIATE: lambda: self._restart(fault, fast=False),
            Kind.DATABASE_AWAY: lambda: self._restart(fault, fast=True),
            Kind.SLOW_TO_RETURN: lambda: self._restart(fault, fast=True, before=lambda: self._slow_down(fault)),
            Kind.TARGET_FROZEN: lambda: self._freeze_target(fault),
            Kind.TARGET_FAILING: lambda: self._fail_target(fault),
            Kind.BURST: self._write_burst,
        }
        whose = f" (worker {fault.worker})" if fault.kind in OF_ONE_WORKER else ""
        self.told.append(f"{time.monotonic() - zero:6.1f} s  {fault.kind}{whose}")
        acts[fault.kind]()

    def _write_burst(self) -> None:
        from django.db import OperationalError, connection

        try:
            self.write_burst()
        except OperationalError:
            # The database is away just now.
            self.at(time.monotonic() + 1, self._write_burst)
        finally:
            connection.close()

    def _freeze(self, fault: Fault) -> None:
        frozen = self.fleet.freeze(fault.worker, past_the_lease=True)
        self.at(time.monotonic() + fault.seconds, lambda: self.fleet.thaw(frozen))

    def _restart(self, fault: Fault, *, fast: bool, before: Callable[[], object] = lambda: None) -> None:
        def come_back() -> None:
            before()
            self.server.start()

        self.server.stop(fast=fast)
        self.at(time.monotonic() + fault.seconds, come_back)

    def _slow_down(self, fault: Fault) -> None:
        slow = self.fleet.freeze(fault.worker, past_the_lease=False)
        # Counted from when the server answers: until then nothing else is done here.
        self.at(0, lambda: self.at(time.monotonic() + SLOW_SECONDS, lambda: self.fleet.thaw(slow)))

    def _freeze_target(self, fault: Fault) -> None:
        frozen = self.targets[-1]
        frozen.send_signal(signal.SIGSTOP)
        self.at(time.monotonic() + fault.seconds, lambda: frozen.send_signal(signal.SIGCONT))

    def _fail_target(self, fault: Fault) -> None:
        with urllib.request.urlopen(f"{self.bases[0]}/__fail?{fault.seconds}", timeout=5) as answer:
            answer.read()

    # --- The end ----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End every process and the database."""
        self.fleet.close()
        for process in self._others:
            process.kill()
            process.wait()
        self.server.remove()

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
