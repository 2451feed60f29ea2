#!/usr/bin/env python
"""Run a management command: `python manage.py help` lists them."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

from scheduler_project.env_file import ensure_env_file


def main() -> None:
    """Make sure that the keys exist, then hand over to Django."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scheduler_project.settings")
    ensure_env_file()
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
