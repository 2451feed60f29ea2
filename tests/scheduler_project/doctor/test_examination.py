"""All checks together, and `manage.py doctor`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.db.migrations.recorder import MigrationRecorder
from pytest_django import Settings

from scheduler_project.doctor.examination import examine
from scheduler_project.doctor.findings import Level
from scheduler_project.env_file import BASE_DIR
from schedules.clock import database_now
from tests.factories import make_schedule
from tests.scheduler_project.doctor.examined import quiet
from tests.worker.workers import failing_database

ALL = [
    *("settings", "database", "migrations", "writes", "clock", "lease", "claim", "uniqueness", "constraints", "keys"),
    *("workers", "queue", "running", "schedules", "retention"),
]


def checks() -> list[str]:
    found = [finding.check for finding in examine(env_file=Path("/nowhere"), say=quiet)]
    return [check for check in dict.fromkeys(found) if check != "time-outs"]


def doctor(*args: str) -> tuple[int, str]:
    out, code = StringIO(), 0
    try:
        call_command("doctor", *args, stdout=out, stderr=StringIO())
    except SystemExit as left:
        code = int(str(left.code))
    return code, out.getvalue()


@pytest.fixture(autouse=True)
def any_host(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["*"]


@pytest.mark.django_db
def test_every_check_is_made() -> None:
    assert checks() == ALL


@pytest.mark.django_db
def test_without_tables_only_the_database_is_looked_at() -> None:
    MigrationRecorder.Migration.objects.all().delete()
    assert checks() == ["settings", "database", "migrations", "writes", "clock"]


@pytest.mark.django_db
def test_without_a_database_only_the_settings_are() -> None:
    with failing_database(OperationalError("gone")):
        assert checks() == ["settings", "database"]


@pytest.mark.django_db
def test_a_database_that_goes_in_between_is_one_finding() -> None:
    with failing_database(OperationalError("gone"), when=lambda sql: "worker_workerprocess" in sql and "COUNT" in sql):
        last = list(examine(env_file=Path("/nowhere"), say=quiet))[-1]
    with failing_database(OperationalError("gone"), when=lambda sql: "targets_target" in sql and "SELECT" in sql[:6]):
        last = list(examine(env_file=Path("/nowhere"), say=quiet))[-1]
    assert (last.level, last.sentence) == (Level.FAILURE, "It stopped answering: gone.")


@pytest.mark.django_db
def test_warnings_leave_the_exit_code_at_0() -> None:
    code, out = doctor()
    assert code == 0
    assert "\nwarning  workers: No worker is live; nothing is scheduled either. Start one" in out


@pytest.mark.django_db
def test_a_failure_makes_it_1() -> None:
    make_schedule(next_run_at=database_now())
    code, out = doctor("--json")
    report = json.loads(out)
    assert (code, report["status"]) == (1, "failure")
    failing = [check for check in report["checks"] if check["level"] == "failure"]
    assert [sorted(check) for check in failing] == [["check", "level", "remedy", "sentence"]]


@pytest.mark.django_db
def test_it_reaps_before_it_looks() -> None:
    code, out = doctor("--reap")
    assert (code, out.partition("\n")[0]) == (0, "ok       reap: 0 runs resolved, 0 dead workers removed.")


@pytest.mark.django_db
def test_without_a_database_nothing_is_reaped() -> None:
    with failing_database(OperationalError("gone")):
        code, out = doctor("--reap")
    assert code == 1
    assert out.startswith("failure  reap: Nothing was resolved: It can't be used: gone.")


@pytest.mark.django_db
def test_a_database_that_goes_while_it_reaps_is_one_line() -> None:
    with failing_database(OperationalError("gone"), when=lambda sql: "worker_workerprocess" in sql):
        code, out = doctor("--reap")
    assert code == 1
    assert out.startswith("failure  reap: It broke off: gone. Run it again.\n")


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/none.db"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, str(BASE_DIR / "manage.py"), "doctor"],
        env={**os.environ, "DATABASE_URL": url, "ALLOWED_HOSTS": "127.0.0.1"},
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_as_a_program_a_database_that_is_away_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    url = "postgres://somebody:s3cr3t@127.0.0.1:1/nothing"
    environment = {**os.environ, "DATABASE_URL": url, "ALLOWED_HOSTS": "127.0.0.1"}
    command = [sys.executable, str(BASE_DIR / "manage.py"), "doctor"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr, len(lines)) == (1, "", 2)
    assert lines[1].startswith("failure  database: It can't be used: ")
    assert "Connection refused. Start it, or correct DATABASE_URL" in lines[1]
    assert "s3cr3t" not in done.stdout
