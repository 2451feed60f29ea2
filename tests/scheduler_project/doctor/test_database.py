"""Checks of the database itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from scheduler_project.doctor import database
from scheduler_project.doctor.database import (
    check_clock,
    check_features,
    check_migrations,
    check_reachable,
    judge_clock,
    one_line,
)
from scheduler_project.doctor.findings import Level
from tests.worker.workers import failing_database

pytestmark = pytest.mark.django_db


def test_a_database_that_answers_is_named_with_its_version() -> None:
    finding = check_reachable()
    assert finding.level is Level.OK
    assert finding.sentence.startswith(f"{connection.display_name} {connection.get_database_version()[0]}.")
    assert str(connection.settings_dict["NAME"]) in finding.sentence


def test_one_that_does_not_answer_is_one_line() -> None:
    with failing_database(OperationalError("connection refused\n\tIs it running?")):
        finding = check_reachable()
    assert finding.level is Level.FAILURE
    assert finding.sentence == "It can't be used: connection refused."


def test_a_pooler_that_is_not_announced_is_told_from_a_server_that_is_away() -> None:
    for words, told in (("FATAL:  unsupported startup parameter: options", True), ("Connection refused", False)):
        with failing_database(OperationalError(words)):
            assert ("set DATABASE_POOLED=true" in check_reachable().remedy) is told


def test_an_error_without_words_has_its_name() -> None:
    assert one_line(OperationalError()) == "OperationalError."


@pytest.mark.sqlite_only
@pytest.mark.django_db(transaction=True)
def test_a_file_that_does_not_exist_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "NAME", "/nowhere/scheduler.db")
    finding = check_reachable()
    assert (finding.level, finding.sentence) == (
        Level.FAILURE,
        "The SQLite file /nowhere/scheduler.db doesn't exist.",
    )


def test_applied_migrations_are_in_order() -> None:
    assert check_migrations().level is Level.OK


def test_a_migration_that_is_not_applied_is_named() -> None:
    ((app, newest),) = MigrationLoader(connection).graph.leaf_nodes("runs")
    MigrationRecorder(connection).record_unapplied(app, newest)
    finding = check_migrations()
    assert finding.level is Level.FAILURE
    assert f"runs.{newest}" in finding.sentence


def test_one_that_is_missing_before_others_that_are_applied_is_named() -> None:
    MigrationRecorder(connection).record_unapplied("runs", "0001_initial")
    finding = check_migrations()
    assert (finding.level, "runs.0001_initial" in finding.sentence) == (Level.FAILURE, True)


def test_tables_of_other_programs_in_the_same_database_are_none_of_our_business() -> None:
    MigrationRecorder(connection).record_applied("elsewhere", "0001_initial")
    assert check_migrations().level is Level.OK


def test_a_database_of_a_newer_version_is_a_warning() -> None:
    MigrationRecorder(connection).record_applied("runs", "9999_future")
    finding = check_migrations()
    assert (finding.level, finding.sentence) == (
        Level.WARNING,
        "The database is ahead of this code: runs.9999_future.",
    )


def test_one_without_any_says_which_command_makes_them() -> None:
    MigrationRecorder.Migration.objects.all().delete()
    finding = check_migrations()
    assert finding.sentence == "The database has no tables yet."
    assert "manage.py migrate" in finding.remedy


@pytest.mark.sqlite_only
def test_sqlite_must_be_in_wal_mode() -> None:
    (finding,) = check_features()
    assert (finding.level, "WAL" in finding.sentence) == (Level.OK, True)


@pytest.mark.sqlite_only
@pytest.mark.django_db(transaction=True)
def test_sqlite_that_does_not_write_through_is_a_failure() -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=OFF")
        try:
            (finding,) = check_features()
        finally:
            cursor.execute("PRAGMA synchronous=FULL")
    assert finding.level is Level.FAILURE


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("journal_mode", "delete", "The journal mode is delete, not wal"),
        ("synchronous", "1", "synchronous or foreign_keys is off."),
        ("foreign_keys", "0", "synchronous or foreign_keys is off."),
    ],
)
@pytest.mark.sqlite_only
def test_what_sqlite_does_without_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str, words: str
) -> None:
    shown = {"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"}
    monkeypatch.setattr(database, "_shown", lambda name: {**shown, setting: value}[name])
    (finding,) = check_features()
    assert (finding.level, words in finding.sentence) == (Level.FAILURE, True)


@pytest.mark.sqlite_only
def test_an_old_sqlite_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "get_database_version", lambda: (3, 34, 1))
    (finding,) = check_features()
    assert (finding.level, finding.sentence) == (Level.FAILURE, "SQLite 3.34.1 is too old: 3.35 is the least.")


@pytest.mark.postgres_only
@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit", "none"])
def test_each_setting_that_makes_commits_durable_is_asked_for(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setattr(database, "_shown", lambda name: "off" if name in (setting, "transaction_read_only") else "on")
    assert next(iter(check_features())).level is (Level.OK if setting == "none" else Level.WARNING)


@pytest.mark.postgres_only
def test_postgresql_without_durable_commits_is_a_warning() -> None:
    """As the tests' own server is."""
    writes, timeouts = check_features()
    assert (writes.level, timeouts.level) == (Level.WARNING, Level.OK)
    assert "statement_timeout 30s" in timeouts.sentence


@pytest.mark.postgres_only
def test_a_session_without_timeouts_is_a_warning() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = 0")
    finding = list(check_features())[1]
    assert finding.sentence == "No limit by lock_timeout: a frozen session could hold rows for ever."


@pytest.mark.postgres_only
def test_a_standby_can_not_be_worked_on() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
    assert next(iter(check_features())).level is Level.FAILURE


@pytest.mark.parametrize(
    ("skew", "round_trip", "level"),
    [(0, 0.1, Level.OK), (2, 0, Level.OK), (2.1, 0, Level.WARNING), (-3600, 0.1, Level.WARNING), (4, 5, Level.OK)],
)
def test_clocks_may_differ_by_two_seconds_and_what_measuring_took(skew: float, round_trip: float, level: Level) -> None:
    finding = judge_clock(timedelta(seconds=skew), round_trip=timedelta(seconds=round_trip))
    assert finding.level is level
    if skew == -3600:
        assert "3,600.0 s behind" in finding.sentence


def test_the_clock_of_a_database_on_this_machine_is_right() -> None:
    assert check_clock().level is Level.OK


def test_a_database_whose_clock_is_an_hour_ahead_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "database_now", lambda: datetime.now(UTC) + timedelta(hours=1))
    finding = check_clock()
    assert (finding.level, "ahead of this machine's" in finding.sentence) == (Level.WARNING, True)
