"""Fixtures that tests of every part share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.db.backends.postgresql.operations import DatabaseOperations
from django_prometheus.middleware import Metrics
from pytest_django import DjangoDbBlocker
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile

POSTGRES_ONLY = "needs PostgreSQL: row locks and several connections that write at once"
SQLITE_ONLY = "is about SQLite's own way"
# Bytes. In a larger table, going through the rows that are dead already takes longer than new files.
LARGE_TABLE = 2**20


def pytest_configure(config: pytest.Config) -> None:
    """Declare our markers."""
    config.addinivalue_line("markers", f"postgres_only: {POSTGRES_ONLY}")
    config.addinivalue_line("markers", f"sqlite_only: {SQLITE_ONLY}")
    config.addinivalue_line("markers", "any_database: shows the same on every database, or brings its own")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their argument: gzip has a time stamp in them, and all test processes must name a test alike."""
    return argname if isinstance(val, bytes) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what the database under test can't show and, if asked, drop what shows the same on any."""
    if config.getoption("database_tests"):
        others = [item for item in items if not _needs_database(item)]
        items[:] = [item for item in items if _needs_database(item)]
        config.hook.pytest_deselected(items=others)
    on_postgres = settings.DATABASES["default"]["ENGINE"].endswith("postgresql")
    unfit, reason = ("sqlite_only", SQLITE_ONLY) if on_postgres else ("postgres_only", POSTGRES_ONLY)
    for item in items:
        if item.get_closest_marker(unfit):
            item.add_marker(pytest.mark.skip(reason=reason))


def _needs_database(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    markers = {marker.name for marker in item.iter_markers()}
    if "any_database" in markers:
        return False
    return bool(markers & {"django_db", "sqlite_only"} or fixtures & {"db", "transactional_db", "live_server"})


@pytest.fixture(scope="session", autouse=True)
def static_files_are_looked_at_once() -> Iterator[None]:
    """Every test client makes the middleware anew, and looking at all static files takes longer than most tests."""
    known: dict[tuple[str, int | None], dict[str, StaticFile]] = {}
    look = WhiteNoiseMiddleware.add_files_from_finders

    def look_once(middleware: WhiteNoiseMiddleware) -> None:
        kind = (middleware.static_prefix, middleware.max_age)
        if kind not in known:
            look(middleware)
            known[kind] = middleware.files
        middleware.files = dict(known[kind])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", look_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def small_tables_are_emptied_row_by_row() -> Iterator[None]:
    """After each test with transactions of its own, TRUNCATE makes new files for all tables and indexes, mostly empty.

    The lock waits, as TRUNCATE does, for what other sessions are still writing. A replica checks neither foreign keys
    nor the audit trail's trigger; being one takes a superuser.
    """
    truncate = DatabaseOperations.sql_flush

    def empty(operations: DatabaseOperations, style: Any, tables: list[str], **options: bool) -> list[str]:
        if not tables or any(options.values()) or not _can_be_emptied_by_row(tables):
            return truncate(operations, style, tables, **options)
        names = [operations.quote_name(table) for table in tables]
        deletions = "; ".join(f"DELETE FROM {name}" for name in names)
        lock = f"LOCK TABLE {', '.join(names)} IN ACCESS EXCLUSIVE MODE"
        return [f"SET LOCAL session_replication_role = replica; {lock}; {deletions}"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", empty)
        yield


def _can_be_emptied_by_row(tables: list[str]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('is_superuser')::bool AND max(pg_relation_size(quote_ident(name)::regclass)) < %s "
            "FROM unnest(%s::text[]) AS name",
            [LARGE_TABLE, tables],
        )
        return bool(cursor.fetchone()[0])


@pytest.fixture(autouse=True)
def web_metrics_start_without_series() -> None:
    """Thousands of tests leave a series for each of their views and answers, and a scrape of all takes a second."""
    for metric in vars(Metrics.get_instance()).values():
        metric.clear()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(request: pytest.FixtureRequest) -> None:
    """One test database per pytest-xdist worker; on SQLite a file, because real processes and threads share it."""
    worker = getattr(request.config, "workerinput", {}).get("workerid", "main")
    database = settings.DATABASES["default"]
    name = f"test_{worker}_{Path(database['NAME']).name}"
    on_file = database["ENGINE"].endswith("sqlite3")
    database.setdefault("TEST", {})["NAME"] = str(Path(database["NAME"]).with_name(name)) if on_file else name


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Before the test database is dropped, end the sessions of processes that a test killed a moment ago.

    On SQLite, tests with transactions of their own empty every table by DELETE, which the audit trail's trigger would
    refuse; tests/access/test_audit.py makes it again for itself.
    """
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("DROP TRIGGER IF EXISTS access_auditevent_no_delete")
    yield
    with django_db_blocker.unblock():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            # Where Playwright's loop ran in this thread, it isn't the connection that drops the database.
            connection.close()


@pytest.fixture
def database_url(transactional_db: None) -> str:
    """DATABASE_URL of the database that this test sees, for processes that it starts."""
    address = urlsplit(os.environ["DATABASE_URL"])
    query = f"?{address.query}" if address.query else ""
    return f"{address.scheme}://{address.netloc}/{connection.settings_dict['NAME']}{query}"


@pytest.fixture
def other_connection(transactional_db: None) -> Iterator[psycopg.Connection[Any]]:
    """A second connection to the test's PostgreSQL database, with transactions of its own: lock tests use it."""
    with psycopg.connect(**connection.get_connection_params()) as second:
        yield second
        second.rollback()
