"""`python -m bench.retention`: how long a claim waits while a million old runs are tidied away (guarantee G24).

Fills a private PostgreSQL server that writes to the disk, then claims and records one due run after the other in this
process, first alone, then beside each kind of tidying in a process of its own, which goes as fast as it can.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests.pg_plugin import ENVIRONMENT
from tests.postgres_server import PostgresServer

CHECKOUT = Path(__file__).resolve().parents[1]
SCHEDULES = 100
FILL_BATCH = 100_000
BETWEEN_CLAIMS = 0.02
AGE_DAYS = 30
KEEP_ALL = {"RETENTION_SUCCESS_DAYS": "off", "RETENTION_FAILED_DAYS": "off", "RETENTION_BODY_DAYS": "off"}
PRUNE = ("manage.py", "prune_runs", "--json")
# `g` numbers the rows; ids are time-ordered as the service's own.
ID = """(lpad(to_hex({milliseconds}), 12, '0') || '7' || substr(md5({salt}), 1, 3) || '8' || substr(md5({salt}), 4, 15)
        )::uuid"""
FILL_RUNS = """
INSERT INTO runs_run (id, schedule_id, target_id, trigger, status, reason, missed_ticks, queued, scheduled_at,
    started_at, completed_at, attempt_count, final_status_code, final_error_type, final_error_message, resolved_note,
    created_at, token)
SELECT {id}, (%(schedules)s::uuid[])[1 + g %% {count}], %(target)s, 'schedule', 'success', '', 0, false, at, at, at, 1,
    200, 'none', '', '', at, 1
FROM (SELECT g, now() - interval '{age} days' + g * interval '1 ms' AS at
      FROM generate_series(%(low)s::int, %(high)s::int) g) t
"""
FILL_ATTEMPTS = """
INSERT INTO runs_attempt (id, run_id, attempt_number, token, worker_id, request_url, request_method, request_headers,
    request_body, started_at, completed_at, latency_ms, status_code, response_headers, response_body,
    response_truncated, response_size_bytes, error_type, error_message, fenced, timings, created_at)
SELECT {id}, {run}, 1, 1, %(target)s, 'https://example.com/', 'POST', '{{}}', repeat('q', 200), at, at, 5, 200, '{{}}',
    repeat(md5(g::text), 20), false, 640, 'none', '', false, '{{}}', at
FROM (SELECT g, now() - interval '{age} days' + g * interval '1 ms' AS at
      FROM generate_series(%(low)s::int, %(high)s::int) g) t
"""


def say(text: str) -> None:
    """At once."""
    print(text, flush=True)


def fill(url: str, rows: int, *, target: uuid.UUID, schedules: list[uuid.UUID]) -> None:
    """`rows` ended runs with an attempt each, all older than any retention."""
    moment = "(extract(epoch FROM at) * 1000)::bigint"
    run_id = ID.format(milliseconds=moment, salt="g::text")
    attempt_id = ID.format(milliseconds=moment, salt="'a' || g")
    runs = FILL_RUNS.format(id=run_id, count=len(schedules), age=AGE_DAYS)
    attempts = FILL_ATTEMPTS.format(id=attempt_id, run=run_id, age=AGE_DAYS)
    with psycopg.connect(url) as connection:
        for low in range(1, rows + 1, FILL_BATCH):
            values = {"low": low, "high": min(rows, low + FILL_BATCH - 1), "target": target, "schedules": schedules}
            # One transaction: both take the same now().
            connection.execute(runs, values)
            connection.execute(attempts, values)
            connection.commit()
        connection.execute("ANALYZE")


def claims(seconds: float, schedule: Any) -> list[float]:
    """Claim and record one run after the other; how long each claim took, in milliseconds."""
    from runs.claim import claim_ready
    from runs.outcome import ErrorType, Outcome
    from runs.record import record_results
    from runs.services import run_now
    from runs.tickets import Result
    from schedules.clock import database_now
    from worker.seats import Seats

    done = Outcome(ErrorType.NONE, latency_ms=1, status_code=200)
    took = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        run_now(schedule_id=schedule.id, now=database_now())
        now = database_now()
        began = time.monotonic()
        tickets = claim_ready(now=now, worker_id=uuid.uuid4(), seats=Seats(5))
        took.append((time.monotonic() - began) * 1000)
        record_results([Result(ticket, done, now, now) for ticket in tickets], now=now)
        time.sleep(BETWEEN_CLAIMS)
    return took


def purge() -> None:
    """What a worker does bit by bit for what was deleted, until SIGINT; prints how many rows are gone."""
    import django

    django.setup()
    from runs.maintenance import purge_deleted
    from schedules.clock import database_now
    from worker.management.commands.runscheduler import PURGE_BATCH

    removed = 0
    try:
        while found := purge_deleted(now=database_now(), limit=PURGE_BATCH):
            removed += found
    except KeyboardInterrupt:
        pass
    say(json.dumps({"runs": {"purged": removed}, "bodies": 0}))


@contextmanager
def beside(*command: str, settings: dict[str, str]) -> Iterator[list[str]]:
    """Run a command while the block lasts; then what it printed, in the list."""
    printed: list[str] = []
    environment = {**os.environ, **settings}
    process = subprocess.Popen(
        [sys.executable, *command], cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield printed
    finally:
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=120)
        printed.append(out.decode())


def row(name: str, took: list[float], printed: list[str]) -> str:
    """One line of the table."""
    ordered = sorted(took)
    gone: dict[str, Any] = json.loads(printed[0]) if printed and printed[0].strip() else {"runs": {}, "bodies": 0}
    work = sum(gone["runs"].values()) + gone["bodies"]
    marks = " | ".join(f"{ordered[len(ordered) * share // 100]:.1f}" for share in (50, 99))
    return f"| {name} | {work:,} | {len(took)} | {marks} | {ordered[-1]:.1f} |"


def measure(rows: int, seconds: float) -> None:
    """Fill, measure each kind of tidying, print a table."""
    server = PostgresServer(durable=True)
    os.environ.update({**ENVIRONMENT, "DATABASE_URL": server.url()})
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from schedules.clock import database_now
    from targets.services import delete_target
    from tests.factories import make_schedule, make_target

    old = make_target()
    schedules = [make_schedule(old, status="paused", next_run_at=None).id for _ in range(SCHEDULES)]
    live = make_schedule(make_target(), status="paused", next_run_at=None, overlap_policy="allow")
    began = time.monotonic()
    fill(server.url(), rows, target=old.id, schedules=schedules)
    say(
        f"{rows:,} runs and as many attempts written in {time.monotonic() - began:.0f} s; load {os.getloadavg()[0]:.1f}"
    )
    say("| Beside | Rows gone meanwhile | Claims | p50, ms | p99, ms | longest, ms |\n|---|---|---|---|---|---|")
    say(row("nothing", claims(seconds, live), []))
    with tempfile.TemporaryDirectory() as archive:
        no_bodies = {**KEEP_ALL, "RETENTION_BODY_DAYS": "3"}
        only_runs = {**KEEP_ALL, "RETENTION_SUCCESS_DAYS": "14", "RETENTION_KEEP_LAST": "0"}
        for name, command, settings in (
            ("clearing bodies", PRUNE, no_bodies),
            ("deleting runs", PRUNE, only_runs),
            ("archiving and deleting runs", (*PRUNE, "--archive", archive), only_runs),
        ):
            with beside(*command, settings=settings) as printed:
                took = claims(seconds, live)
            say(row(name, took, printed))
    delete_target(target_id=old.id, now=database_now())
    with beside("-m", "bench.retention", "--purge", settings={}) as printed:
        took = claims(seconds, live)
    say(row("purging a deleted target", took, printed))
    server.remove()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m bench.retention", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="runs to begin with (default: 1,000,000)")
    parser.add_argument("--seconds", type=float, default=20, help="how long each kind is measured (default: 20)")
    parser.add_argument("--purge", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    # A shell that puts us into the background lets us, and whom we start, ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scheduler_project.settings")
    if options.purge:
        purge()
    else:
        measure(options.rows, options.seconds)


if __name__ == "__main__":
    main()
