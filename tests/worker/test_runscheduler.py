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

from runs.models import Run
from runs.services import run_now
from schedules.clock import database_now
from tests.factories import NOW, make_schedule, make_target
from tests.http_target import RecordingTarget
from worker.management.commands.runscheduler import chores, forget_old_sessions
from worker.models import WorkerProcess


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """The command installs handlers; pytest gets its own back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


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
