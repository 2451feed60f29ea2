"""A2: does a backlog cost memory? It lives in rows, so it should not."""

from __future__ import annotations

import time
from pathlib import Path

from bench.account import settle
from bench.databases import PostgresDatabase
from bench.drain import workers
from bench.harness import Bench
from bench.question import Answer, Question, Sample, compare

QUESTION = Question("A2", "worker memory at 100,000 pending runs : at 100", 1.2, at_least=False)
MANY, FEW = 100_000, 100
# Enough for the worker to have all its buffers filled, and to leave most of the backlog.
WATCHED_SECONDS = 6.0

ENDED = "SELECT id FROM runs_run WHERE status = 'success'"
CLOSED = "SELECT run_id FROM runs_attempt WHERE completed_at IS NOT NULL AND status_code = 200 AND NOT fenced"


def measure(bench: Bench) -> Answer:
    """The peak of the worker's resident memory. Both work without a break; one has the backlog behind it.

    With few pending, the next hundred are added whenever some have been taken.
    """
    target = bench.stage.target()

    def side(pending: int) -> Sample:
        database = bench.stage.postgres(f"memory_{pending}", target.urls, due=FEW)
        database.rows("TRUNCATE runs_attempt, runs_run")
        target.forget()
        peak, ended = _watch(bench, database, pending)
        runs, attempts = (database.rows(sql) for sql in (ENDED, CLOSED))
        settle(due=ended, runs=[row[0] for row in runs], attempts=[row[0] for row in attempts], calls=target.calls())
        return Sample(peak, {"pending": pending, "ended": ended, "peak_mb": round(peak, 1)})

    return compare(bench, QUESTION, {"many_mb": lambda: side(bench.size(MANY)), "few_mb": lambda: side(FEW)})[0]


def _watch(bench: Bench, database: PostgresDatabase, pending: int) -> tuple[float, int]:
    with workers(bench.stage, database, options=("--concurrency=100",)) as process:
        until = time.monotonic() + WATCHED_SECONDS
        while time.monotonic() < until:
            waiting = database.rows("SELECT count(*) FROM runs_run WHERE status = 'pending'")[0][0]
            if waiting <= pending // 2:
                _add_pending(database, pending - waiting)
            time.sleep(0.05)
        peak = _peak_megabytes(process.pid)
        # The backlog is not what is measured: let the worker go.
        database.rows("UPDATE runs_run SET status = 'cancelled', completed_at = now(), next_attempt_at = NULL"
                      " WHERE status IN ('pending', 'retrying')")  # fmt: skip
    # Whatever was claimed has ended with the worker.
    return peak, database.rows("SELECT count(*) FROM runs_run WHERE attempt_count > 0")[0][0]


def _add_pending(database: PostgresDatabase, count: int) -> None:
    """Manual Runs, as many as asked for, of all schedules in turn."""
    database.rows(
        "INSERT INTO runs_run (id, schedule_id, target_id, trigger, status, reason, missed_ticks, queued, scheduled_at,"
        " next_attempt_at, attempt_count, final_error_type, final_error_message, resolved_note, created_at, token)"
        " SELECT gen_random_uuid(), s.id, s.target_id, 'manual', 'pending', '', 0, false, now(), now(), 0, 'none', '',"
        " '', now(), 0 FROM generate_series(1, {}) AS n JOIN (SELECT row_number() OVER () - 1 AS place, id, target_id"
        " FROM schedules_schedule) AS s ON s.place = n % (SELECT count(*) FROM schedules_schedule)".replace("%", "%%"),
        count,
    )


def _peak_megabytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
