"""Telling a database that is away from a row that it refuses, and waiting for the first."""

from __future__ import annotations

import logging

from django.db import DataError, Error, IntegrityError, connection

logger = logging.getLogger(__name__)

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 5.0
# SQLSTATE 40001 and 40P01 (PostgreSQL, appendix A): another transaction won; trying again is the remedy.
CONFLICTS = frozenset({"40001", "40P01"})
CONFLICTS_IN_A_ROW = 5
# Class 54: the value itself is over a limit of the server.
PROGRAM_LIMIT_CLASS = "54"


def sqlstate(error: BaseException) -> str:
    """The server's code for the error, or "" where there is none (SQLite, a lost connection)."""
    return str(getattr(error.__cause__, "sqlstate", None) or "")


def is_database_trouble(error: BaseException) -> bool:
    """Whether the database can't work now, so that the same statement may succeed later.

    False for anything that will fail again: a refused value (DataError, IntegrityError, over a server limit), and
    everything that is not the database's.
    """
    if not isinstance(error, Error) or isinstance(error, (DataError, IntegrityError)):
        return False
    return not sqlstate(error).startswith(PROGRAM_LIMIT_CLASS)


def refresh_connection() -> None:
    """Close this thread's connection if it is broken or older than CONN_MAX_AGE.

    Not on SQLite: closing the last handle there would checkpoint the write-ahead log on every tick.
    """
    if connection.vendor == "postgresql":
        connection.close_if_unusable_or_obsolete()


class DatabaseTrouble:
    """How long to wait while the database is away: 0.5 s, doubling up to 5 s. Logs the beginning and the end."""

    def __init__(self) -> None:
        self._failures = 0
        self._conflicts = 0

    @property
    def lasting(self) -> bool:
        """Whether the last try failed."""
        return self._failures > 0

    def met(self, error: BaseException) -> float:
        """Close the connection; seconds to wait before the next try."""
        connection.close()
        if sqlstate(error) in CONFLICTS and self._conflicts < CONFLICTS_IN_A_ROW:
            self._conflicts += 1
            return 0.0
        if not self._failures:
            logger.warning(
                "the database can't be used; trying again until it can",
                exc_info=error,
                extra={"action": "database_away"},
            )
        self._failures += 1
        return min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(self._failures - 1, 10))

    def over(self) -> None:
        """The database works."""
        if self._failures:
            logger.info("the database is back", extra={"action": "database_back", "failed_tries": self._failures})
        self._failures = 0
        self._conflicts = 0
