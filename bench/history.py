"""A long past, made by SQL in seconds: schedules that are not due, ended Runs with their Attempts, and the counters.

    DATABASE_URL=... python -m bench.history --idle 1000000 --past 1000000

PostgreSQL only. The database looks as one that has been at work for ten days with the default retention: bodies are
three days old at most, 97 % of the Runs succeeded, and the rollups of the last 25 hours are per minute.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import django

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model

DAYS = 10
BODY_DAYS = 3
BODY = '{"ok": true, "items": [' + ", ".join(str(number) for number in range(40)) + "]}"
REQUEST_HEADERS = '{"Accept": "application/json", "User-Agent": "API-Scheduler", "X-Scheduler-Attempt": "1"}'
RESPONSE_HEADERS = '{"Content-Type": "application/json", "Content-Length": "180", "Server": "example"}'
TIMINGS = '{"dns_ms": 0.4, "connect_ms": 8.1, "tls_ms": 20.5, "ttfb_ms": 110.2, "total_ms": 120.3}'
# A UUIDv7 of the moment: newest first is the order of ids.
SEVENTH = (
    "(lpad(to_hex((extract(epoch FROM h.at) * 1000)::bigint), 12, '0') || '7' || substr(md5({salt} || h.n), 1, 3)"
    " || '8' || substr(md5({salt} || h.n), 4, 15))::uuid"
)
STATUS = "CASE WHEN h.n % 100 = 0 THEN 'failed' WHEN h.n % 100 = 50 THEN 'timeout' ELSE 'success' END"
ERROR = "CASE WHEN h.n % 100 = 0 THEN 'server_error' WHEN h.n % 100 = 50 THEN 'timeout' ELSE 'none' END"
CODE = "CASE WHEN h.n % 100 = 0 THEN 503 WHEN h.n % 100 = 50 THEN NULL ELSE 200 END"
HISTORY = """
    CREATE TEMPORARY TABLE h AS
    SELECT n, now() - (%s - n + 1) * interval '10 days' / %s AS at, s.id AS schedule_id, s.target_id
    FROM generate_series(1, %s) AS n JOIN owners s ON s.place = n %% (SELECT count(*) FROM owners)
"""
OWNERS = """
    CREATE TEMPORARY TABLE owners AS
    SELECT row_number() OVER (ORDER BY id) - 1 AS place, id, target_id FROM schedules_schedule
    WHERE name LIKE 'idle %%'
"""


def main() -> None:
    """See the top of this file."""
    parser = argparse.ArgumentParser(description="Fill a database with a long past.")
    parser.add_argument("--idle", type=int, default=1000, help="schedules that are due in days")
    parser.add_argument("--past", type=int, default=0, help="Runs that have ended, one Attempt each")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scheduler_project.settings")
    django.setup()
    from django.db import connection, transaction

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SET LOCAL maintenance_work_mem = '512MB'")
        with _without_indexes(cursor, ("schedules_schedule", "runs_run", "runs_attempt", "runs_schedulerollup")):
            fill(cursor, idle=options.idle, past=options.past)


def fill(cursor: Any, *, idle: int, past: int) -> None:
    """Add `idle` schedules to the targets that there are, and `past` ended Runs to these schedules.

    In a transaction of the caller's, as a superuser.
    """
    # Triggers of foreign keys would look up each row; these rows are right by construction.
    cursor.execute("SET LOCAL session_replication_role = replica")
    _idle_schedules(cursor, idle)
    cursor.execute(OWNERS)
    cursor.execute(HISTORY, [past, past, past])
    _runs(cursor)
    _attempts(cursor)
    _rollups(cursor)
    cursor.execute("SET LOCAL session_replication_role = origin")


@contextmanager
def _without_indexes(cursor: Any, tables: Sequence[str]) -> Iterator[None]:
    """Indexes are built afterwards, in one go each; those behind constraints stay."""
    cursor.execute(
        "SELECT i.indexname, i.indexdef FROM pg_indexes i WHERE i.tablename = ANY(%s) AND NOT EXISTS"
        " (SELECT 1 FROM pg_constraint c WHERE c.conname = i.indexname)",
        [list(tables)],
    )
    found = cursor.fetchall()
    for name, _ in found:
        cursor.execute(f'DROP INDEX "{name}"')
    yield
    for _, definition in found:
        cursor.execute(definition)


def _insert(cursor: Any, model: type[Model], columns: Mapping[str, str], source: str) -> None:
    """Insert rows whose columns are SQL expressions over `source`; the others have their field's default."""
    names, values, parameters = [], [], []
    for field in model._meta.concrete_fields:
        expression = columns.get(str(field.column))
        if expression is None:
            parameters.append(field.get_db_prep_save(field.get_default(), cursor.db))
        names.append(f'"{field.column}"')
        # In a string that has parameters, a percent sign is written twice.
        values.append("%s" if expression is None else expression.replace("%", "%%"))
    cursor.execute(
        f'INSERT INTO "{model._meta.db_table}" ({", ".join(names)}) SELECT {", ".join(values)} {source}', parameters
    )


def _idle_schedules(cursor: Any, count: int) -> None:
    from schedules.models import Schedule

    columns = {
        "id": "gen_random_uuid()",
        "name": "'idle ' || n",
        "target_id": "(ARRAY(SELECT id FROM targets_target))[1 + n % (SELECT count(*) FROM targets_target)]",
        "schedule_type": "'interval'",
        "interval_seconds": "2592000",
        "timezone": "'Asia/Kolkata'",
        "misfire_grace_seconds": "60",
        "max_retries": "3",
        "retry_delay_seconds": "1",
        "run_count": "1",
        "started_at": "now() - interval '20 days'",
        "last_run_at": f"now() - (n % 1000) * interval '{DAYS} days' / 1000",
        "next_run_at": "now() + interval '1 day' + (n % 100000) * interval '20 seconds'",
        "created_at": "now() - interval '20 days' + n * interval '1 second'",
        "updated_at": "now() - interval '20 days' + n * interval '1 second'",
    }
    _insert(cursor, Schedule, columns, f"FROM generate_series(1, {count}) AS n")


def _runs(cursor: Any) -> None:
    from runs.models import Run

    columns = {
        "id": SEVENTH.format(salt="'r'"),
        "schedule_id": "h.schedule_id",
        "target_id": "h.target_id",
        "trigger": "'schedule'",
        "status": STATUS,
        "scheduled_at": "h.at",
        "started_at": "h.at + interval '4 milliseconds'",
        "completed_at": "h.at + interval '130 milliseconds'",
        "attempt_count": "1",
        "final_status_code": CODE,
        "final_error_type": ERROR,
        "final_error_message": "CASE WHEN h.n % 50 = 0 THEN 'The target failed.' ELSE '' END",
        "created_at": "h.at + interval '2 milliseconds'",
        "token": "1",
    }
    _insert(cursor, Run, columns, "FROM h ORDER BY h.n")


def _attempts(cursor: Any) -> None:
    from runs.models import Attempt

    recent = f"h.at > now() - interval '{BODY_DAYS} days'"
    columns = {
        "id": SEVENTH.format(salt="'a'"),
        "run_id": SEVENTH.format(salt="'r'"),
        "attempt_number": "1",
        "token": "1",
        "worker_id": "'00000000-0000-4000-8000-000000000001'::uuid",
        "request_url": "'https://api.example.com/orders/' || h.n",
        "request_method": "'GET'",
        "request_headers": f"'{REQUEST_HEADERS}'::jsonb",
        "started_at": "h.at + interval '4 milliseconds'",
        "completed_at": "h.at + interval '124 milliseconds'",
        "latency_ms": "120.3",
        "status_code": CODE,
        "response_headers": f"'{RESPONSE_HEADERS}'::jsonb",
        "response_body": f"CASE WHEN {recent} THEN '{BODY}' ELSE '' END",
        "bodies_cleared_at": f"CASE WHEN {recent} THEN NULL ELSE h.at + interval '{BODY_DAYS} days' END",
        "response_size_bytes": "180",
        "error_type": ERROR,
        "timings": f"'{TIMINGS}'::jsonb",
        "remote_ip": "'192.0.2.7'::inet",
        "created_at": "h.at + interval '3 milliseconds'",
    }
    _insert(cursor, Attempt, columns, "FROM h ORDER BY h.n")


def _rollups(cursor: Any) -> None:
    """The counters as the worker would have written them: per minute for 25 hours, older ones in one row each."""
    minute = (
        "CASE WHEN h.at > now() - interval '25 hours' THEN date_trunc('minute', h.at) ELSE 'epoch'::timestamptz END"
    )
    kinds = {
        "status": (STATUS, "0.0"),
        "error": (f"NULLIF({ERROR}, 'none')", "0.0"),
        "latency": ("CASE WHEN h.n % 3 = 0 THEN '0.1' ELSE '0.25' END", "0.125"),
        "lateness": ("CASE WHEN h.n % 3 = 0 THEN '0.025' ELSE '0.01' END", "0.0078125"),
    }
    for kind, (label, seconds) in kinds.items():
        cursor.execute(
            "INSERT INTO runs_minuterollup (minute, kind, label, shard, count, total)"
            f" SELECT {minute}, '{kind}', {label}, h.n % 2, count(*), count(*) * {seconds} FROM h"
            f" WHERE {label} IS NOT NULL GROUP BY 1, 3, 4"
        )
    cursor.execute(
        "INSERT INTO runs_schedulerollup (schedule_id, total_runs, successful_runs, failed_runs, timeout_runs,"
        " latency_count, latency_total_ms, last_run_at, last_status, last_error_type)"
        " SELECT schedule_id, count(*), count(*) FILTER (WHERE s = 'success'), count(*) FILTER (WHERE s = 'failed'),"
        " count(*) FILTER (WHERE s = 'timeout'), count(*), count(*) * 120.3, max(at),"
        " (array_agg(s ORDER BY at DESC))[1], (array_agg(e ORDER BY at DESC))[1]"
        f" FROM (SELECT h.schedule_id, h.at, {STATUS} AS s, {ERROR} AS e FROM h) AS ended GROUP BY schedule_id"
    )


if __name__ == "__main__":
    main()
