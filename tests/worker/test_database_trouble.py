"""Telling a database that is away from a value that it refuses."""

from __future__ import annotations

import logging

import psycopg
import pytest
from django.db import DataError, IntegrityError, InterfaceError, InternalError, OperationalError, ProgrammingError

from worker.database_trouble import DatabaseTrouble, is_database_trouble, sqlstate


def caused(error: Exception, cause: Exception) -> Exception:
    """As Django raises it: the driver's error is the cause."""
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (OperationalError("server closed the connection"), True),
        (OperationalError("database is locked"), True),
        (InterfaceError("connection already closed"), True),
        (caused(OperationalError(), psycopg.errors.AdminShutdown()), True),
        (caused(OperationalError(), psycopg.errors.TooManyConnections()), True),
        (caused(OperationalError(), psycopg.errors.QueryCanceled()), True),
        (caused(OperationalError(), psycopg.errors.DeadlockDetected()), True),
        (caused(OperationalError(), psycopg.errors.SerializationFailure()), True),
        (caused(OperationalError(), psycopg.errors.LockNotAvailable()), True),
        # A standby after a failover.
        (caused(InternalError(), psycopg.errors.ReadOnlySqlTransaction()), True),
        # The middle of an upgrade: the column comes, or the worker is replaced.
        (caused(ProgrammingError(), psycopg.errors.UndefinedColumn()), True),
        (DataError("value too long"), False),
        (IntegrityError("check constraint"), False),
        # One row over a limit of the server fails for ever.
        (caused(OperationalError(), psycopg.errors.ProgramLimitExceeded()), False),
        (ValueError("a bug"), False),
    ],
)
def test_it_waits_for_a_database_but_not_for_a_refused_value(error: Exception, trouble: bool) -> None:
    assert is_database_trouble(error) is trouble


def test_an_error_without_a_code_has_none() -> None:
    assert sqlstate(OperationalError()) == ""


@pytest.mark.django_db(transaction=True)
def test_it_waits_longer_each_time_up_to_five_seconds_and_starts_over_when_it_is_over() -> None:
    trouble = DatabaseTrouble()
    assert [trouble.met(OperationalError()) for _ in range(6)] == [0.5, 1, 2, 4, 5, 5]
    during = trouble.lasting

    trouble.over()

    assert (during, trouble.lasting) == (True, False)
    assert trouble.met(OperationalError()) == 0.5


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("cause", [psycopg.errors.SerializationFailure(), psycopg.errors.DeadlockDetected()])
def test_a_lost_conflict_is_tried_again_at_once_but_not_for_ever(cause: psycopg.Error) -> None:
    trouble = DatabaseTrouble()
    waits = [trouble.met(caused(OperationalError(), cause)) for _ in range(6)]
    assert waits == [0, 0, 0, 0, 0, 0.5]


@pytest.mark.django_db(transaction=True)
def test_a_lock_that_was_waited_for_in_vain_is_not_asked_for_again_at_once() -> None:
    """`lock_timeout` has passed already: whoever holds the row is stuck, and asking again would hold up the rest."""
    assert DatabaseTrouble().met(caused(OperationalError(), psycopg.errors.LockNotAvailable())) == 0.5


@pytest.mark.django_db(transaction=True)
def test_it_logs_the_beginning_and_the_end_once(caplog: pytest.LogCaptureFixture) -> None:
    trouble = DatabaseTrouble()
    for _ in range(3):
        trouble.met(OperationalError())
    trouble.over()
    trouble.over()

    logged = [(record.levelno, vars(record)["action"]) for record in caplog.records]
    assert logged == [(logging.WARNING, "database_away"), (logging.INFO, "database_back")]
