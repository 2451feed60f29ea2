"""What a run of the harness leaves to judge: the rows in the database, and the calls that the targets wrote down.

Moments are seconds since 1970 as floats, nominal times whole milliseconds. Read by SQL of its own: the oracle shares no
code with what it judges.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import class_row

ACTIVE = ("pending", "running", "retrying")
RUN_SQL = """
SELECT id::text, schedule_id::text AS schedule, trigger, status, reason, missed_ticks, queued, attempt_count,
       round(extract(epoch FROM scheduled_at) * 1000)::bigint AS nominal,
       extract(epoch FROM created_at)::float8 AS created,
       extract(epoch FROM started_at)::float8 AS started, extract(epoch FROM completed_at)::float8 AS completed,
       final_error_type AS error
FROM runs_run WHERE completed_at IS NULL OR completed_at >= to_timestamp(%s)
"""
ATTEMPT_SQL = """
SELECT a.id::text, a.run_id::text AS run, a.attempt_number AS number, a.worker_id::text AS worker,
       a.request_method AS method, a.error_type AS error, a.fenced, a.status_code AS status,
       extract(epoch FROM a.started_at)::float8 AS started, extract(epoch FROM a.completed_at)::float8 AS completed
FROM runs_attempt a JOIN runs_run r ON r.id = a.run_id
WHERE r.completed_at IS NULL OR r.completed_at >= to_timestamp(%s)
"""
SCHEDULE_SQL = """
SELECT s.id::text, s.schedule_type AS kind, s.interval_seconds AS interval, s.catch_up, s.overlap_policy AS overlap,
       s.on_worker_lost AS mode, s.max_retries, s.run_count, t.method, s.last_error,
       round(extract(epoch FROM s.started_at) * 1000)::bigint AS started,
       round(extract(epoch FROM s.run_at) * 1000)::bigint AS run_at
FROM schedules_schedule s JOIN targets_target t ON t.id = s.target_id
"""
STOP_SQL = """
UPDATE schedules_schedule s SET status = 'paused', next_run_at = NULL
FROM (SELECT id, next_run_at FROM schedules_schedule WHERE status = 'active' FOR UPDATE) old WHERE s.id = old.id
RETURNING s.id::text, round(extract(epoch FROM old.next_run_at) * 1000)::bigint,
          extract(epoch FROM clock_timestamp())::float8
"""


@dataclass(frozen=True, slots=True)
class RunRow:
    """A row of runs_run."""

    id: str
    schedule: str
    trigger: str
    status: str
    reason: str
    missed_ticks: int
    queued: bool
    attempt_count: int
    nominal: int
    created: float
    started: float | None
    completed: float | None
    error: str


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """A row of runs_attempt."""

    id: str
    run: str
    number: int
    worker: str
    method: str
    error: str
    fenced: bool
    status: int | None
    started: float
    completed: float | None


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """A row of schedules_schedule with its target's method."""

    id: str
    kind: str
    interval: int | None
    catch_up: str
    overlap: str
    mode: str
    max_retries: int
    run_count: int
    method: str
    last_error: str
    started: int
    run_at: int | None

    @property
    def may_resend(self) -> bool:
        """Whether an orphan may be sent again (RFC 9110, section 9.2.2, where the mode is auto)."""
        idempotent = self.method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")
        return self.mode == "retry" or (self.mode == "auto" and idempotent)


@dataclass(slots=True)
class CallSeen:
    """One request as a target saw it; `ended` and `status` are None where it never came to an answer."""

    key: str
    run: str
    attempt: int
    method: str
    digest: str
    arrived: float
    ended: float | None = None
    status: int | None = None


@dataclass(slots=True)
class History:
    """Everything there is to judge."""

    runs: dict[str, RunRow] = field(default_factory=dict)
    attempts: dict[str, AttemptRow] = field(default_factory=dict)
    schedules: dict[str, ScheduleRow] = field(default_factory=dict)
    # Per schedule that was active to the end: the first nominal time not accounted for; and when that was.
    stopped_at: dict[str, int] = field(default_factory=dict)
    stop: float = 0.0
    calls: list[CallSeen] = field(default_factory=list)
    ended_by_status: dict[str, int] = field(default_factory=dict)
    workers_left: set[str] = field(default_factory=set)
    victims: set[str] = field(default_factory=set)

    def attempts_of(self) -> dict[str, list[AttemptRow]]:
        """Attempts by Run, in order of their numbers."""
        grouped: dict[str, list[AttemptRow]] = defaultdict(list)
        for attempt in sorted(self.attempts.values(), key=lambda attempt: attempt.number):
            grouped[attempt.run].append(attempt)
        return grouped

    def runs_of(self) -> dict[str, list[RunRow]]:
        """Scheduled Runs by schedule, in order of their nominal times."""
        grouped: dict[str, list[RunRow]] = {schedule: [] for schedule in self.schedules}
        for run in sorted(self.runs.values(), key=lambda run: run.nominal):
            if run.trigger == "schedule":
                grouped.setdefault(run.schedule, []).append(run)
        return grouped

    def calls_of(self) -> dict[str, list[CallSeen]]:
        """Calls by key, in order of their attempt numbers."""
        grouped: dict[str, list[CallSeen]] = defaultdict(list)
        for call in sorted(self.calls, key=lambda call: (call.attempt, call.arrived)):
            grouped[call.key].append(call)
        return grouped

    def harvest(self, connection: psycopg.Connection[Any], since: float = 0.0) -> None:
        """Take in the Runs that have not ended or ended after `since`, and their attempts.

        Called again and again it sees everything, even where retention deletes in between.
        """
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            with connection.cursor(row_factory=class_row(RunRow)) as runs:
                self.runs.update((row.id, row) for row in runs.execute(RUN_SQL, [since]))
            with connection.cursor(row_factory=class_row(AttemptRow)) as attempts:
                fresh = {row.id: row for row in attempts.execute(ATTEMPT_SQL, [since])}
            # A claim that was handed back has taken its attempt with it.
            for gone in [key for key, row in self.attempts.items() if row.completed is None and key not in fresh]:
                del self.attempts[gone]
            self.attempts.update(fresh)

    def take_final_state(self, connection: psycopg.Connection[Any]) -> None:
        """Schedules, counters and worker rows at the end."""
        with connection.cursor(row_factory=class_row(ScheduleRow)) as schedules:
            self.schedules = {row.id: row for row in schedules.execute(SCHEDULE_SQL)}
        with connection.cursor() as cursor:
            cursor.execute("SELECT label, sum(count)::int FROM runs_minuterollup WHERE kind = 'status' GROUP BY label")
            self.ended_by_status = dict(cursor.fetchall())
            cursor.execute("SELECT id::text FROM worker_workerprocess")
            self.workers_left = {row[0] for row in cursor.fetchall()}

    def save(self, path: Path) -> None:
        """Keep all of it, to look into when an invariant does not hold."""
        with path.open("w", encoding="utf-8") as file:
            for table, rows in (("run", self.runs), ("attempt", self.attempts), ("schedule", self.schedules)):
                file.writelines(json.dumps({"table": table, **asdict(row)}) + "\n" for row in rows.values())
            file.writelines(json.dumps({"table": "call", **asdict(call)}) + "\n" for call in self.calls)

    def stop_ticks(self, connection: psycopg.Connection[Any]) -> None:
        """Let no further nominal time arise; note up to where each schedule has come."""
        with connection.cursor() as cursor:
            for schedule, following, moment in cursor.execute(STOP_SQL):
                self.stopped_at[schedule] = following
                self.stop = moment


def active_runs(connection: psycopg.Connection[Any]) -> int:
    """How many Runs have not ended."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM runs_run WHERE status IN ('pending', 'running', 'retrying')")
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def overdue_schedules(connection: psycopg.Connection[Any]) -> int:
    """How many schedules enqueue is behind with."""
    sql = "SELECT count(*) FROM schedules_schedule WHERE status = 'active' AND next_run_at < now() - interval '2 s'"
    row = connection.execute(sql).fetchone()
    return int(row[0]) if row else 0


def read_calls(logs: Iterable[Path]) -> list[CallSeen]:
    """The calls in the logs of tests.chaos.logging_target."""
    return [call for log in logs for call in _calls_in(log)]


def _calls_in(log: Path) -> Iterator[CallSeen]:
    by_number: dict[int, CallSeen] = {}
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            number = record.pop("n")
            if number in by_number:
                by_number[number].ended, by_number[number].status = record["ended"], record["status"]
            else:
                by_number[number] = CallSeen(**record)
    return iter(by_number.values())
