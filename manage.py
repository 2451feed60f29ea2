#!/usr/bin/env python
"""Run a management command: `python manage.py help` lists them."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line
from django.db import OperationalError

from scheduler_project.env_file import ensure_env_file
from scheduler_project.sqlite_file import is_missing_file


def main() -> None:
    """Make sure that the keys exist, then hand over to Django."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scheduler_project.settings")
    ensure_env_file()
    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        # Django's own commands would show a traceback.
        if not is_missing_file(error):
            raise
        sys.exit(f"The database can't be used: {error}.")


if __name__ == "__main__":
    main()
