"""`manage.py archive_runs`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from runs.models import Run
from scheduler_project.env_file import BASE_DIR
from tests.factories import NOW, make_attempt, make_ended_run, make_schedule

pytestmark = pytest.mark.django_db


def archive(*args: str) -> str:
    out = StringIO()
    call_command("archive_runs", *args, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_what_it_writes_it_reads_back(tmp_path: Path) -> None:
    runs = [make_ended_run(make_schedule(name=name), final_status_code=200) for name in ("Nightly", "Hourly")]
    make_attempt(runs[0], response_body="answer")

    (path,) = (json.loads(archive("--to", str(tmp_path), "--json"))["archive"],)

    rows = [json.loads(line) for line in archive("--read", path, "--json").splitlines()]
    assert {row["id"] for row in rows} == {str(run.id) for run in runs}
    assert {row["schedule_name"]: len(row["attempts"]) for row in rows} == {"Nightly": 1, "Hourly": 0}
    only = archive("--read", path, "--schedule-id", str(runs[1].schedule_id).upper())
    assert only == f"2026-03-10T12:00:00+00:00  {runs[1].id}  Hourly: success 200, attempts 1\n"
    assert Run.objects.count() == 2


def test_it_says_where_the_file_is(tmp_path: Path) -> None:
    make_attempt(make_ended_run())
    said = archive("--to", str(tmp_path))
    (path,) = tmp_path.iterdir()
    assert said == f"1 run with 1 attempt is in {path}\n"


def test_before_leaves_later_runs_out(tmp_path: Path) -> None:
    make_ended_run(completed_at=NOW)
    said = archive("--to", str(tmp_path), "--before", NOW.isoformat())
    assert (said, list(tmp_path.iterdir())) == ("No run has ended before that time; no file was made.\n", [])
    after = (NOW + timedelta(seconds=1)).isoformat()
    assert archive("--to", str(tmp_path), "--before", after).startswith("1 run with")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "--to --read"),
        (["--to", "/dev/null/x"], "no such folder"),
        (["--to", "/tmp", "--before", "yesterday"], "--before 'yesterday': Must be an RFC 3339 time"),
        (["--to", "/tmp", "--schedule-id", "x"], "goes with --read"),
        (["--read", "x", "--before", "x"], "goes with --to"),
        (["--read", "x", "--schedule-id", "x"], "must be the id of a schedule"),
        (["--read", "/dev/null/x"], "can't be read: Not a directory"),
    ],
)
def test_it_says_what_is_wrong(args: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said) as refused:
        archive(*args)
    assert "\n" not in str(refused.value)


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    schedule = make_schedule()
    for number in range(300):
        make_ended_run(schedule, scheduled_at=NOW + timedelta(seconds=number), final_error_message="x" * 900)
    path = json.loads(archive("--to", str(tmp_path), "--json"))["archive"]
    command = f"'{sys.executable}' '{BASE_DIR}/manage.py' archive_runs --read '{path}' --json | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, env=dict(os.environ), check=False
    )
    assert (done.returncode, done.stderr, done.stdout.count(b"\n")) == (0, b"", 1)
