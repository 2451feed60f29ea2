"""`manage.py prune_runs`."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from access.models import AuditEvent
from runs.archive import read_archive
from runs.models import Attempt, Run
from schedules.clock import database_now
from schedules.models import Schedule
from tests.factories import make_attempt, make_ended_run, make_schedule
from tests.worker.workers import failing_database

pytestmark = pytest.mark.django_db


def prune(*args: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("prune_runs", *args, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def ended(days: float, schedule: Schedule | None = None, status: str = "success") -> Run:
    at = database_now() - timedelta(days=days)
    run = make_ended_run(schedule, status=status, scheduled_at=at, started_at=at, completed_at=at)
    make_attempt(run, completed_at=at, response_body="answer")
    return run


@pytest.fixture
def old_runs(settings: Any) -> list[Run]:
    """Two old successes, an old failure, a run whose body only is old; nothing is kept for being newest."""
    settings.RETENTION_KEEP_LAST = 0
    return [ended(20), ended(21), ended(91, status="failed"), ended(5)]


def test_it_removes_what_is_old_and_counts_it(old_runs: list[Run]) -> None:
    out, err = prune()
    assert out == (
        "3 runs (1 failed, 2 success) and 3 attempts removed, the bodies of 1 attempt cleared; "
        "0 old runs stay as the newest of their schedule.\n"
    )
    assert err == ""
    assert list(Run.objects.all()) == [old_runs[3]]
    assert Attempt.objects.get().response_body == ""


def test_a_dry_run_only_counts(old_runs: list[Run]) -> None:
    out, _ = prune("--dry-run", "--json")
    assert json.loads(out) == {
        "dry_run": True,
        "runs": {"failed": 1, "success": 2},
        "attempts": 3,
        "bodies": 4,
        "kept": 0,
        "archive": None,
        "interrupted": False,
    }
    assert (Run.objects.count(), Attempt.objects.filter(response_body="answer").count()) == (4, 4)
    assert not AuditEvent.objects.exists()


def test_between_two_batches_it_waits_so_that_others_get_to_write(
    old_runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    prune("--dry-run")
    assert waits == []
    prune()
    # Of successes, of failures, of bodies.
    assert len(waits) == 3
    assert min(waits) > 0


def test_by_default_a_hundred_of_each_schedule_stay() -> None:
    schedule = make_schedule()
    for number in range(103):
        ended(20 + number / 1000, schedule)
    assert json.loads(prune("--json")[0])["runs"] == {"success": 3}
    assert Run.objects.count() == 100


def test_runs_are_in_the_archive_with_their_bodies(old_runs: list[Run], tmp_path: Path) -> None:
    out, _ = prune("--archive", str(tmp_path), "--json")
    (path,) = tmp_path.iterdir()
    assert json.loads(out)["archive"] == str(path)
    rows = list(read_archive(path))
    assert {row["id"] for row in rows} == {str(run.id) for run in old_runs[:3]}
    assert [attempt["response_body"] for row in rows for attempt in row["attempts"]] == ["answer"] * 3


def test_old_runs_of_a_deleted_schedule_are_in_the_archive_too(old_runs: list[Run], tmp_path: Path) -> None:
    Schedule.objects.filter(runs=old_runs[0]).update(deleted_at=database_now())
    prune("--archive", str(tmp_path))
    (path,) = tmp_path.iterdir()
    assert {row["id"] for row in read_archive(path)} == {str(run.id) for run in old_runs[:3]}


def test_a_dry_run_archives_nothing(old_runs: list[Run], tmp_path: Path) -> None:
    prune("--archive", str(tmp_path), "--dry-run")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_removed_that_could_not_be_archived(old_runs: list[Run]) -> None:
    with pytest.raises(CommandError, match=r"no such folder; create it\.$"):
        prune("--archive", "/dev/full")
    assert Run.objects.count() == 4


def test_a_database_that_is_away_is_one_line() -> None:
    with failing_database(OperationalError("gone\nfor good")), pytest.raises(CommandError) as refused:
        prune()
    assert str(refused.value) == "The database can't be used (gone). `manage.py doctor` says more."


def test_ctrl_c_says_what_was_done_so_far(old_runs: list[Run]) -> None:
    def is_body_update(sql: str) -> bool:
        return sql.startswith("UPDATE")

    out = StringIO()
    with failing_database(KeyboardInterrupt(), when=is_body_update), pytest.raises(SystemExit) as left:  # type: ignore[arg-type]
        call_command("prune_runs", stdout=out)
    assert left.value.code == 130
    assert out.getvalue().startswith("Stopped early. 3 runs")
