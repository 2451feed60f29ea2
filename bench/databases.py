"""The databases of benchmarks, as the measuring process sees them: plain SQL, on PostgreSQL and on SQLite."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import psycopg

TICKS = os.sysconf("SC_CLK_TCK")
STARTED = "SELECT {} FROM runs_attempt a JOIN runs_run r ON r.id = a.run_id WHERE r.scheduled_at = {{}}"
WAITING = "('pending', 'running', 'retrying')"


class Database(Protocol):
    """One database with the project's tables."""

    url: str
    # Seconds between two looks at whether a drain is over: each costs the server some of what is measured.
    look_seconds: float

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a statement returns; `{}` in it stands for a value."""

    def moment(self, epoch: float) -> Any:
        """A time (seconds since the epoch) as a value for this database."""

    def finished_at(self, nominal: float) -> float | None:
        """When the last Run with this nominal time was committed as ended; None if the database can't tell."""

    def started_at(self, nominal: float) -> list[float]:
        """When the Attempts of these Runs were started, as recorded (seconds since the epoch)."""

    def cpu_seconds(self) -> float:
        """What the database's own processes have used so far; 0 where it has none."""


class PostgresDatabase:
    """A database of the benchmark's private server."""

    # Commits' own times say when it was over.
    look_seconds = 0.5

    def __init__(self, url: str, directory: Path) -> None:
        """`directory` is the server's."""
        self.url = url
        self._directory = directory
        self._connection = psycopg.connect(url, autocommit=True)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """See `Database`."""
        cursor = self._connection.execute(sql.replace("{}", "%s"), values or None)
        return cursor.fetchall() if cursor.description else []

    def moment(self, epoch: float) -> Any:
        """See `Database`."""
        return datetime.fromtimestamp(epoch, UTC)

    def finished_at(self, nominal: float) -> float | None:
        """See `Database`; the server keeps the time of each commit for this."""
        sql = "SELECT extract(epoch FROM max(pg_xact_commit_timestamp(xmin))) FROM runs_run WHERE scheduled_at = {}"
        found = self.rows(sql, self.moment(nominal))[0][0]
        return None if found is None else float(found)

    def started_at(self, nominal: float) -> list[float]:
        """See `Database`."""
        rows = self.rows(STARTED.format("extract(epoch FROM a.started_at)"), self.moment(nominal))
        return [float(at) for (at,) in rows]

    def cpu_seconds(self) -> float:
        """See `Database`: the server's processes, those that have ended included."""
        postmaster = int((self._directory / "data" / "postmaster.pid").read_text().split()[0])
        return cpu_of_tree(postmaster, ended_children=True)

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


class SqliteDatabase:
    """A file, opened for each look: the workers' writes come first."""

    # The look itself says when it was over.
    look_seconds = 0.05

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """See `Database`."""
        with closing(sqlite3.connect(self.path, timeout=30)) as connection:
            found = connection.execute(sql.replace("{}", "?"), values).fetchall()
            connection.commit()
        return found

    def moment(self, epoch: float) -> Any:
        """See `Database`; as Django writes it."""
        return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")

    def finished_at(self, nominal: float) -> float | None:
        """See `Database`: it can't tell."""
        return None

    def started_at(self, nominal: float) -> list[float]:
        """See `Database`."""
        rows = self.rows(STARTED.format("a.started_at"), self.moment(nominal))
        return [datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() for (at,) in rows]

    def cpu_seconds(self) -> float:
        """See `Database`: its work is done in the worker."""
        return 0.0


def is_drained(database: Database, nominal: float) -> bool:
    """Whether nothing that was due at `nominal` is still to be done; two look-ups by index."""
    due = (
        "SELECT 1 FROM schedules_schedule WHERE status = 'active' AND deleted_at IS NULL AND next_run_at <= {} LIMIT 1"
    )
    waiting = f"SELECT 1 FROM runs_run WHERE status IN {WAITING} LIMIT 1"
    return not database.rows(due, database.moment(nominal)) and not database.rows(waiting)


def wait_until_drained(database: Database, nominal: float, *, seconds: float) -> float:
    """Wait, and say when (seconds since the epoch) the last result was committed.

    Raises:
        TimeoutError: it took longer than `seconds`.
    """
    deadline = nominal + seconds
    time.sleep(max(0.0, nominal - time.time()))
    while not is_drained(database, nominal):
        if time.time() > deadline:
            raise TimeoutError(f"not drained within {seconds:g} s")
        time.sleep(database.look_seconds)
    return database.finished_at(nominal) or time.time()


def cpu_of_tree(pid: int, *, ended_children: bool = False) -> float:
    """CPU seconds of a process and its descendants, those that have ended (and were waited for) on request."""
    parents: dict[int, list[int]] = {}
    times: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(entry.name))
        times[int(entry.name)] = sum(int(field) for field in fields[11 : 15 if ended_children else 13]) / TICKS
    return _sum_of(pid, parents, times)


def _sum_of(pid: int, parents: dict[int, list[int]], times: dict[int, float]) -> float:
    children: Sequence[int] = parents.get(pid, ())
    return times.get(pid, 0.0) + sum(_sum_of(child, parents, times) for child in children)
