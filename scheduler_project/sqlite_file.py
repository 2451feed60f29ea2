"""SQLite only where there is a file: SQLite itself would make an empty one wherever DATABASE_URL happens to point."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from django.db import Error


class NoSuchFile(sqlite3.OperationalError):
    """What DATABASE_URL names isn't there. Only `migrate` makes it, and whatever calls `migrate`."""


class ExistingFile(sqlite3.Connection):
    """A connection to a file that is there already."""

    def __init__(self, database: str, *args: Any, **kwargs: Any) -> None:
        """As `sqlite3.connect`.

        Raises:
            NoSuchFile: with the remedy.
        """
        if not Path(database).exists():
            raise NoSuchFile(
                f"the SQLite file {database} doesn't exist; run `python manage.py migrate`, or correct DATABASE_URL"
            )
        super().__init__(database, *args, **kwargs)


def is_missing_file(error: Error) -> bool:
    """Whether that is why the database can't be used: no use waiting for it."""
    return isinstance(error.__cause__, NoSuchFile)
