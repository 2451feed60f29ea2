"""How we use the database: limits of every session, lost conflicts, broken connections, nothing kept in a session.

Part of guarantees G3, G11 and G20: what a session loses is never more than the transaction under way.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.db import connection, transaction
from psycopg.sql import SQL, Identifier

from runs.models import Attempt, Run
from scheduler_project.env_file import BASE_DIR
from tests.factories import make_run, make_schedule
from tests.guarantees.rivals import PATIENCE_SECONDS, parameters, second_party, wait_for_lock_waits
from tests.worker.workers import ScriptedExecutor, make_config
from worker.config import RunMode
from worker.loop import Worker
from worker.pool import Finished

pytestmark = pytest.mark.django_db(transaction=True)

DATABASE_ERRORS = "api_scheduler_worker_database_errors_total"
# PostgreSQL's session state that a transaction pooler would hand to somebody else; SET LOCAL ends with its transaction.
SESSION_STATE = re.compile(
    r"\b(?:LISTEN|UNLISTEN|NOTIFY|PREPARE|DECLARE|SET\s+(?:SESSION|TIME|ROLE)|TEMP(?:ORARY)?\s+TABLE)\b"
    r'|"SET\s+[a-z_]+|pg_(?:try_)?advisory|pg_notify|set_config'
)


@pytest.mark.postgres_only
def test_every_session_has_limits_that_the_server_enforces() -> None:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    with connection.cursor() as cursor:
        shown = {}
        for name in names:
            cursor.execute(f"SHOW {name}")
            shown[name] = cursor.fetchone()[0]
    assert shown == {
        "statement_timeout": "30s",
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "15s",
    }


@pytest.mark.postgres_only
def test_every_connection_notices_a_server_that_is_gone() -> None:
    connection.ensure_connection()
    asked = connection.connection.info.get_parameters()
    wanted = {
        "connect_timeout": "5",
        "keepalives_idle": "10",
        "keepalives_interval": "5",
        "keepalives_count": "3",
        "tcp_user_timeout": "20000",
        "application_name": "api-scheduler",
    }
    assert {name: asked.get(name) for name in wanted} == wanted


def drain(executor: ScriptedExecutor) -> tuple[int, float | None]:
    """Be a worker until nothing is left to do: its exit code, and how many ticks the database broke."""
    worker = Worker(make_config(mode=RunMode.DRAIN), executor=executor)
    code = worker.run()
    return code, worker.metrics.registry.get_sample_value(DATABASE_ERRORS)


@contextmanager
def new_sessions_with(setting: str, value: str) -> Iterator[None]:
    """Sessions that begin within the block have a server setting of their own."""
    name = Identifier(connection.settings_dict["NAME"])
    with psycopg.connect(**parameters(), autocommit=True) as outside:
        outside.execute(SQL("ALTER DATABASE {} SET {} = {}").format(name, Identifier(setting), value))
        try:
            yield
        finally:
            outside.execute(SQL("ALTER DATABASE {} RESET {}").format(name, Identifier(setting)))


def break_connection() -> None:
    """Let the server end this thread's session, as it does when it is restarted."""
    connection.ensure_connection()
    with psycopg.connect(**parameters(), autocommit=True) as outside:
        outside.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])


def lock(rows: object) -> None:
    """Take the row locks of a queryset."""
    list(rows.select_for_update())  # type: ignore[attr-defined]


def conflict(setting: tuple[str, str], provoke: Callable[[ScriptedExecutor], None]) -> tuple[int, float | None]:
    """A worker whose result meets a rival; how it ended."""
    make_run(make_schedule(status="paused", next_run_at=None))
    executor = ScriptedExecutor(gate_open=False)
    with new_sessions_with(*setting), second_party() as start:
        worker = start(lambda: drain(executor))
        assert executor.begun.acquire(timeout=PATIENCE_SECONDS)
        with transaction.atomic():
            provoke(executor)
        return worker.result(PATIENCE_SECONDS)


@pytest.mark.postgres_only
def test_a_worker_that_loses_a_deadlock_tries_again_at_once(caplog: pytest.LogCaptureFixture) -> None:
    def provoke(executor: ScriptedExecutor) -> None:
        with connection.cursor() as cursor:
            # The rival never gives in.
            cursor.execute("SET LOCAL deadlock_timeout = '1h'")
        lock(Attempt.objects.all())
        executor.open_gate()
        wait_for_lock_waits()
        lock(Run.with_deleted.all().order_by())

    assert conflict(("deadlock_timeout", "2s"), provoke) == (0, 1)
    assert Run.objects.get().status == "success"
    assert "database_away" not in [vars(record).get("action") for record in caplog.records]


@pytest.mark.postgres_only
def test_a_worker_whose_transaction_can_not_be_serialized_tries_again_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def provoke(executor: ScriptedExecutor) -> None:
        Run.objects.update(reason="noted")
        executor.open_gate()
        wait_for_lock_waits()

    assert conflict(("default_transaction_isolation", "repeatable read"), provoke) == (0, 1)
    assert Run.objects.get().status == "success"
    assert "database_away" not in [vars(record).get("action") for record in caplog.records]


@pytest.mark.postgres_only
def test_a_connection_that_broke_while_idle_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """G20: each unit of work begins with a connection that has been looked at."""
    connection.ensure_connection()
    broken = connection.connection.info.backend_pid
    break_connection()
    caplog.set_level(logging.INFO)

    assert drain(ScriptedExecutor()) == (0, 0)
    connection.ensure_connection()
    assert connection.connection.info.backend_pid != broken


@pytest.mark.postgres_only
@pytest.mark.parametrize("stopping", [False, True])
def test_g20_a_connection_that_breaks_during_a_call_loses_no_result(stopping: bool) -> None:
    make_run(make_schedule(status="paused", next_run_at=None))
    worker = Worker(make_config(mode=RunMode.DRAIN), executor=ScriptedExecutor())
    collect = worker.pool.collect

    def break_and_collect(timeout: float) -> list[Finished]:
        finished = collect(timeout)
        if finished:
            break_connection()
            if stopping:
                worker.stop.request()
        return finished

    setattr(worker.pool, "collect", break_and_collect)  # noqa: B010 - mypy takes no assignment to a method
    assert worker.run() == 0
    # A tick looks at its connection first; a stop meets the broken one, and tries again.
    errors = worker.metrics.registry.get_sample_value(DATABASE_ERRORS)
    assert (Run.objects.get().status, errors) == ("success", 0)


def test_nothing_that_we_need_is_kept_in_a_session() -> None:
    """Behind a pooler that hands connections out by transaction, a session's state is somebody else's."""
    apps = [BASE_DIR / app for app in ("access", "runs", "scheduler_project", "schedules", "targets", "worker")]
    sources = [path for app in apps for path in app.rglob("*.py")]
    found = {path.name: SESSION_STATE.findall(path.read_text(encoding="utf-8")) for path in sources}
    assert {name: words for name, words in found.items() if words} == {}
