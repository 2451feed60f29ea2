"""All checks in their order. Later ones are left out where an earlier failure makes them pointless."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from django.db import Error

from runs.retention_settings import retention_policy
from scheduler_project.doctor import configuration, database, promises, service
from scheduler_project.doctor.findings import Finding, Level, failure
from schedules.clock import database_now


def examine(*, env_file: Path, say: Callable[[str], None]) -> Iterator[Finding]:
    """Each finding as soon as it is known.

    Args:
        env_file: where the settings may have come from.
        say: takes progress of checks that may take long.
    """
    yield from configuration.check_settings(env_file)
    reachable = database.check_reachable()
    yield reachable
    if reachable.level is Level.FAILURE:
        return
    try:
        migrations = database.check_migrations()
        yield migrations
        yield from database.check_features()
        yield database.check_clock()
        if migrations.level is not Level.FAILURE:
            yield from _with_tables(say)
    except Error as error:
        yield failure("database", f"It stopped answering: {database.one_line(error)}", "Run the doctor again.")


def _with_tables(say: Callable[[str], None]) -> Iterable[Finding]:
    yield from promises.check_promises()
    yield configuration.check_keys(say)
    now = database_now()
    yield from service.check_workers(now)
    yield service.check_overdue(now)
    yield from service.check_stuck(now)
    yield service.check_held(now)
    yield service.check_retention(retention_policy(), now, say)
