"""The command in this process: what it takes, what it starts. Real processes: tests/acceptance/test_supervisor.py."""

from __future__ import annotations

import io
import signal
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder

from runs.models import Run
from runs.services import run_now
from schedules.clock import database_now
from tests.factories import NOW, make_schedule, make_target
from tests.http_target import RecordingTarget
from tests.worker.workers import failing_database
from worker.management.commands import runscheduler
from worker.management.commands.runscheduler import chores, forget_old_sessions
from worker.models import WorkerProcess


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """The command installs handlers; pytest gets its own back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many processes each parent was to have; none is started."""
    counts: list[int] = []

    class Parent:
        """Counts its processes instead of starting them."""

        def __init__(self, commands: list[list[str]], **_: object) -> None:
            counts.append(len(commands))

        def run(self) -> int:
            """All ended well."""
            return 0

    monkeypatch.setattr(runscheduler, "Supervisor", Parent)
    return counts


@pytest.mark.django_db(transaction=True)
def test_its_calls_pass_the_address_judge() -> None:
    with RecordingTarget() as target:
        schedule = make_schedule(make_target(url=target.url("/orders")), status="paused", next_run_at=None)
        run_now(schedule_id=schedule.id, now=database_now())

        call_command("runscheduler", once=True, concurrency=3)

        assert target.calls() == []
    run = Run.objects.get()
    assert (run.status, run.final_error_type) == ("failed", "blocked"), "loopback is refused unless it is opened"
    assert not WorkerProcess.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_metrics_port_in_use_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"--metrics-port {port} can't be used: Address already in use"):
            call_command("runscheduler", once=True, metrics_port=port)


@pytest.mark.parametrize(
    "options",
    [
        {"processes": "0"},
        {"processes": "129"},
        {"concurrency": "abc"},
        {"concurrency": "-1"},
        {"concurrency": "1.5"},
        {"concurrency": ""},
        {"concurrency": "٣"},
        {"metrics_port": "65536"},
        {"metrics_port": "65535", "processes": "2"},
        {"once": True, "drain": True},
    ],
)
def test_a_wrong_option_is_refused_before_anything_starts(options: dict[str, Any]) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("runscheduler", stderr=io.StringIO(), **options)
    assert refused.value.returncode == 2
    assert "\n" not in str(refused.value)


@pytest.mark.django_db
@pytest.mark.parametrize("options", [{"once": True}, {"processes": "2"}], ids=["alone", "several"])
def test_it_does_not_start_on_tables_that_are_older_than_the_code(options: dict[str, Any], started: list[int]) -> None:
    MigrationRecorder(connection).record_unapplied("runs", "0001_initial")
    with pytest.raises(CommandError) as refused:
        call_command("runscheduler", **options)
    assert str(refused.value) == "1 migration not applied: runs.0001_initial. Run `python manage.py migrate`."
    assert refused.value.returncode == 1
    assert started == []


@pytest.mark.django_db
def test_it_does_not_start_without_tables() -> None:
    MigrationRecorder.Migration.objects.all().delete()
    with pytest.raises(CommandError, match=r"^The database has no tables yet\. Run `python manage\.py migrate`\.$"):
        call_command("runscheduler", once=True)


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_ahead_of_the_code_stops_no_worker() -> None:
    """In a rolling upgrade the tables come first."""
    schedule = make_schedule(make_target(), status="paused", next_run_at=None)
    run_now(schedule_id=schedule.id, now=database_now())
    recorder = MigrationRecorder(connection)
    recorder.record_applied("runs", "9999_future")
    try:
        call_command("runscheduler", once=True)
    finally:
        recorder.record_unapplied("runs", "9999_future")
    assert Run.objects.get().attempt_count == 1


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_at_the_start_is_left_to_the_processes(started: list[int]) -> None:
    """Each of them waits for it."""
    with failing_database(OperationalError("gone")):
        call_command("runscheduler", processes="3")
    assert started == [3]
    assert connection.connection is None, "the parent of several holds no connection"


@pytest.mark.django_db
def test_every_chore_of_the_worker_can_be_done() -> None:
    assert {chore.name: chore.work(now=NOW) for chore in chores()} == {
        "purge_deleted": 0,
        "prune_runs": 0,
        "clear_bodies": 0,
        "fold_old_minutes": 0,
        "forget_old_answers": 0,
        "forget_old_audit_events": 0,
        "forget_old_sign_ins": 0,
        "forget_old_login_failures": 0,
        "forget_old_sessions": 0,
    }


@pytest.mark.django_db
def test_sign_ins_that_have_expired_are_forgotten_in_batches() -> None:
    for number in range(3):
        Session.objects.create(session_key=f"old{number}", expire_date=NOW - timedelta(days=3 - number))
    Session.objects.create(session_key="live", expire_date=NOW + timedelta(days=1))

    assert forget_old_sessions(now=NOW, limit=2) == 2
    assert set(Session.objects.values_list("pk", flat=True)) == {"old2", "live"}
    assert forget_old_sessions(now=NOW) == 1
    assert forget_old_sessions(now=NOW) == 0
