"""A SQLite file that isn't there: named in one line, and made by `migrate` alone."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from scheduler_project.env_file import BASE_DIR


def manage(file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the file as its database."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=BASE_DIR,
        env={**os.environ, "DATABASE_URL": f"sqlite:///{file}"},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "command",
    [
        ["prune_runs"],
        ["archive_runs", "--to", "."],
        ["runscheduler"],
        ["runscheduler", "--processes", "2"],
        # Django's own.
        ["createsuperuser", "--noinput", "--username", "root", "--email", "r@example.com"],
        ["showmigrations"],
    ],
    ids=" ".join,
)
def test_a_command_names_it_with_the_remedy_and_makes_none(tmp_path: Path, command: list[str]) -> None:
    file = tmp_path / "jobs.db"
    done = manage(file, *command)
    assert (done.returncode, done.stdout) == (1, "")
    wanted = f"the SQLite file {file} doesn't exist; run `python manage.py migrate`, or correct DATABASE_URL"
    assert wanted in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_migrate_makes_it_and_breaking_off_on_the_way_leaves_no_traceback(tmp_path: Path) -> None:
    """One app alone: what follows a migration finds the tables of roles and permissions missing."""
    file = tmp_path / "jobs.db"
    for arguments in (["runs", "0001"], ["contenttypes"], []):
        done = manage(file, "migrate", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT name FROM auth_group ORDER BY name").fetchall() == [
            ("admin",),
            ("operator",),
            ("viewer",),
        ]
        assert database.execute("SELECT count(*) > 30 FROM auth_group_permissions").fetchone() == (1,)
