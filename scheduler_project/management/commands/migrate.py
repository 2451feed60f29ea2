"""`manage.py migrate`: Django's own, which alone may make SQLite's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.commands.migrate import Command as DjangosCommand
from django.db import connections


class Command(DjangosCommand):
    """Brings the database up to this version of the code."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Make the file where it is missing, before Django's checks look at it; then all tables."""
        database = connections[options["database"]]
        if database.vendor == "sqlite":
            Path(database.settings_dict["NAME"]).touch()
        return super().execute(*args, **options)
