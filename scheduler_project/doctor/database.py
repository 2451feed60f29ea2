"""Is the database there, is it one that the service can rely on, and is it up to date?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor

from scheduler_project.doctor.findings import Finding, failure, named, ok, warning
from schedules.clock import database_now
from targets.counted import counted

LEAST_SQLITE = (3, 35)
MOST_SKEW = timedelta(seconds=2)
TIMEOUTS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
START = "Start it, or correct DATABASE_URL; workers wait for it."
# PgBouncer's words.
POOLED = "That is a connection pooler: set DATABASE_POOLED=true."
MIGRATE = "Run `python manage.py migrate`."


def one_line(error: BaseException) -> str:
    """The first line of the database's own words, with a final stop."""
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    return text if text.endswith(".") else f"{text}."


def check_reachable() -> Finding:
    """Which database it is; a failure says why it can't be used. Never creates one."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite" and not connection.in_atomic_block and not Path(name).exists():
        return failure("database", f"The SQLite file {name} doesn't exist.", f"Correct DATABASE_URL, or: {MIGRATE}")
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            version = ".".join(map(str, connection.get_database_version()))
    except Error as error:
        remedy = POOLED if "unsupported startup parameter" in str(error) else START
        return failure("database", f"It can't be used: {one_line(error)}", remedy)
    host = connection.settings_dict.get("HOST") or "this machine"
    where = f"database {name} on {host}" if connection.vendor == "postgresql" else f"the file {name}"
    return ok("database", f"{connection.display_name} {version} answers: {where}.")


def check_migrations() -> Finding:
    """Whether the tables are those of this version of the code."""
    executor = MigrationExecutor(connection)
    # Not Django's plan: where a later migration is recorded as applied, that doesn't see one missing before it.
    absent = executor.loader.graph.nodes.keys() - executor.loader.applied_migrations.keys()
    pending = [f"{app}.{name}" for app, name in sorted(absent)]
    if pending and not executor.loader.applied_migrations:
        return failure("migrations", "The database has no tables yet.", MIGRATE)
    if pending:
        return failure("migrations", f"{counted(len(pending), 'migration')} not applied: {named(pending)}.", MIGRATE)
    ours = {app for app, _ in executor.loader.graph.nodes}
    unknown = [
        f"{app}.{name}"
        for app, name in executor.loader.applied_migrations
        if app in ours
        and (app, name) not in executor.loader.graph.nodes
        and (app, name) not in executor.loader.replacements
    ]
    if unknown:
        return warning(
            "migrations", f"The database is ahead of this code: {named(sorted(unknown))}.", "Install the newer version."
        )
    return ok("migrations", "All migrations are applied.")


def check_features() -> Iterator[Finding]:
    """What correctness and bounded waiting rest on."""
    yield from _postgresql_features() if connection.vendor == "postgresql" else _sqlite_features()


def _shown(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}" if connection.vendor == "postgresql" else f"PRAGMA {name}")
        row = cursor.fetchone()
    return str(row[0]) if row else ""


def _postgresql_features() -> Iterator[Finding]:
    if _shown("transaction_read_only") == "on":
        yield failure("writes", "The database is read-only (a standby?).", "Point DATABASE_URL at the primary.")
    elif "off" in (_shown("fsync"), _shown("full_page_writes"), _shown("synchronous_commit")):
        yield warning(
            "writes",
            "fsync, full_page_writes or synchronous_commit is off: a power cut can lose or repeat runs.",
            "Turn them on in the server's configuration.",
        )
    else:
        yield ok("writes", "Commits are durable; rows can be locked with SKIP LOCKED.")
    endless = [name for name in TIMEOUTS if _shown(name) in ("0", "0ms")]
    if endless:
        yield warning(
            "time-outs",
            f"No limit by {named(endless)}: a frozen session could hold rows for ever.",
            "Behind a pooler, set them on the role: ALTER ROLE ... SET statement_timeout = '30s', "
            "lock_timeout = '10s', idle_in_transaction_session_timeout = '15s'.",
        )
    else:
        yield ok("time-outs", ", ".join(f"{name} {_shown(name)}" for name in TIMEOUTS) + ".")


def _sqlite_features() -> Iterator[Finding]:
    version = connection.get_database_version()
    if version < LEAST_SQLITE:
        yield failure(
            "writes", f"SQLite {'.'.join(map(str, version))} is too old: 3.35 is the least.", "Use a newer Python."
        )
    elif _shown("journal_mode") != "wal":
        yield failure(
            "writes",
            f"The journal mode is {_shown('journal_mode')}, not wal: web and worker lock each other out.",
            "Put the file on a local disk; network file systems can't do it.",
        )
    elif _shown("synchronous") not in ("2", "3") or _shown("foreign_keys") != "1":
        yield failure("writes", "synchronous or foreign_keys is off.", "Don't override the connection's options.")
    else:
        yield ok("writes", "WAL, synchronous writes and foreign keys are on; one writer at a time, on one host.")


def check_clock() -> Finding:
    """How far this machine's clock is from the database's, which alone decides what is due."""
    before = datetime.now(UTC)
    database = database_now()
    after = datetime.now(UTC)
    return judge_clock(database - (before + (after - before) / 2), round_trip=after - before)


def judge_clock(skew: timedelta, *, round_trip: timedelta) -> Finding:
    """`skew`: the database's clock minus ours, measured within `round_trip`."""
    seconds = skew.total_seconds()
    if abs(skew) > MOST_SKEW + round_trip / 2:
        side = "ahead of" if seconds > 0 else "behind"
        return warning(
            "clock",
            f"The database's clock is {abs(seconds):,.1f} s {side} this machine's; the database's decides what is due.",
            "Run NTP on both: certificates, logs and your expectation go by the local one.",
        )
    return ok("clock", f"This machine's clock is within {max(abs(seconds), 0.001):.3f} s of the database's.")
