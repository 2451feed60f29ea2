"""`runscheduler` as operators run it: several processes, signals, options."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from psycopg.sql import SQL, Identifier

from runs.models import Run
from tests.acceptance.conftest import PATIENCE_SECONDS, Workers, call, ended, wait_until
from tests.http_target import RecordingTarget
from worker.models import WorkerProcess

pytestmark = pytest.mark.django_db(transaction=True)


def children_of(process: subprocess.Popen[bytes]) -> list[int]:
    """Process ids of the living children."""
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    with suppress(OSError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


def wait_for_workers(count: int) -> set[int]:
    """The process ids of registered workers, as soon as there are so many."""

    def registered() -> set[int]:
        return set(WorkerProcess.objects.values_list("pid", flat=True))

    wait_until(lambda: len(registered()) == count, f"{count} workers have registered")
    return registered()


def free_ports(count: int) -> int:
    """The first of `count` ports in a row that are free."""
    for first in range(20_000 + os.getpid() % 20_000, 60_000, count):
        # Those that were free are closed, too, where a later one is not.
        with suppress(OSError), ExitStack() as held:
            for number in range(count):
                held.enter_context(socket.create_server(("127.0.0.1", first + number)))
            return first
    raise AssertionError("no free ports")


def test_it_runs_as_many_workers_as_asked_and_stops_them_all(workers: Workers, target: RecordingTarget) -> None:
    parent = workers.start("--processes=2")
    assert wait_for_workers(2) == set(children_of(parent))
    run = call(target.url("/held"))
    target.wait_for(1)
    parent.terminate()
    wait_until(WorkerProcess.objects.filter(draining=True).exists, "the workers drain")
    target.release()

    assert parent.wait(PATIENCE_SECONDS) == 0

    assert Run.objects.get(id=run.id).status == "success"
    assert not WorkerProcess.objects.exists()
    assert workers.log().count("action=worker_stopped") == 2


def test_a_worker_that_dies_is_replaced(workers: Workers) -> None:
    parent = workers.start("--processes=2")
    first, second = wait_for_workers(2)
    os.kill(first, signal.SIGKILL)

    def replaced() -> bool:
        live = set(WorkerProcess.objects.values_list("pid", flat=True)) - {first}
        return len(live) == 2 and second in live

    wait_until(replaced, "another worker has registered")
    assert "worker_process_died" in workers.log()
    assert workers.stop(parent) == 0


def test_workers_do_not_outlive_a_parent_that_was_killed(workers: Workers) -> None:
    parent = workers.start("--processes=2")
    pids = wait_for_workers(2)
    workers.kill(parent)
    wait_until(lambda: not any(map(is_alive, pids)), "the workers end")
    assert not WorkerProcess.objects.exists(), "they ended in order"


def test_each_worker_is_pinned_to_one_core(workers: Workers) -> None:
    parent = workers.start("--processes=2")
    cores = os.sched_getaffinity(0)
    pinned = [os.sched_getaffinity(pid) for pid in wait_for_workers(2)]
    assert all(len(each) == 1 for each in pinned)
    assert set().union(*pinned) == set(sorted(cores)[:2])
    assert len(os.sched_getaffinity(parent.pid)) == len(cores)


def test_drain_with_several_processes_ends_when_all_is_done(workers: Workers, target: RecordingTarget) -> None:
    runs = [call(target.url("/")) for _ in range(12)]
    parent = workers.start("--processes=2", "--drain", "--concurrency=2")
    assert parent.wait(PATIENCE_SECONDS) == 0
    assert Run.objects.filter(status="success").count() == len(runs) == len(target.calls())


def test_a_failed_drain_is_the_parents_failure(workers: Workers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        parent = workers.start("--processes=1", "--drain", f"--metrics-port={port}")
        assert parent.wait(PATIENCE_SECONDS) == 1
        assert f"--metrics-port {port} can't be used" in workers.log()


def test_each_process_serves_its_metrics_on_a_port_of_its_own(workers: Workers, target: RecordingTarget) -> None:
    port = free_ports(2)
    workers.start("--processes=2", f"--metrics-port={port}", "--concurrency=7")
    wait_for_workers(2)

    for number in range(2):
        with urllib.request.urlopen(f"http://127.0.0.1:{port + number}/metrics", timeout=10) as answer:
            assert "api_scheduler_worker_seats 7.0" in answer.read().decode()


def test_g19_a_second_signal_after_a_second_ends_the_worker_now(workers: Workers, target: RecordingTarget) -> None:
    call(target.url("/held"))
    worker = workers.start(WORKER_DRAIN_SECONDS="600")
    target.wait_for(1)
    worker.terminate()
    wait_until(WorkerProcess.objects.filter(draining=True).exists, "the first signal has come")
    time.sleep(1.2)
    assert worker.poll() is None, "the first signal lets the call go on"
    worker.terminate()
    assert worker.wait(PATIENCE_SECONDS) == 1
    assert "second signal" in workers.log()


def test_g19_a_call_that_outlasts_the_drain_time_does_not_hold_the_exit_up(
    workers: Workers, target: RecordingTarget
) -> None:
    run = call(target.url("/held"), on_worker_lost="fail")
    worker = workers.start(WORKER_DRAIN_SECONDS="1")
    target.wait_for(1)
    worker.terminate()
    assert worker.wait(PATIENCE_SECONDS) == 0
    assert Run.objects.get(id=run.id).status == "running"
    workers.start()
    assert ended(run).final_error_type == "worker_lost"


def test_g17_a_worker_frozen_past_its_lease_changes_nothing_when_it_wakes(
    workers: Workers, target: RecordingTarget
) -> None:
    run = call(target.url("/held"), on_worker_lost="fail")
    frozen = workers.start()
    target.wait_for(1)
    frozen.send_signal(signal.SIGSTOP)
    workers.start()
    run = ended(run)
    assert (run.status, run.final_error_type) == ("failed", "worker_lost")

    target.release()
    frozen.send_signal(signal.SIGCONT)
    attempts = run.attempts.all()
    wait_until(lambda: attempts.get().fenced, "its result is kept as fenced")
    wait_for_workers(2)

    run.refresh_from_db()
    assert (run.status, run.final_error_type, len(target.calls())) == ("failed", "worker_lost", 1)
    wait_until(lambda: "worker_reregistered" in workers.log(), "the worker says that it is a new one now")


@contextmanager
def closed_database() -> Iterator[None]:
    """Everybody but this test is shut out of the database; from outside, because it can't be done from within."""
    connection.ensure_connection()
    name, own = connection.settings_dict["NAME"], connection.connection.info.backend_pid
    parameters = {**connection.get_connection_params(), "dbname": "postgres"}
    with psycopg.connect(**parameters, autocommit=True) as outside:
        outside.execute(SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(Identifier(name)))
        try:
            outside.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> %s", [name, own]
            )
            yield
        finally:
            outside.execute(SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(Identifier(name)))


@pytest.mark.postgres_only
def test_g20_a_worker_outlives_an_outage_and_writes_what_it_holds(workers: Workers, target: RecordingTarget) -> None:
    run = call(target.url("/held"), on_worker_lost="fail")
    worker = workers.start(WORKER_LEASE_SECONDS="4")
    target.wait_for(1)
    with closed_database():
        target.release()
        time.sleep(6)
        assert worker.poll() is None

    # G16: longer than the lease, and still nobody took the Run away: the worker's own rescue must not, either.
    assert ended(run).status == "success"
    wait_until(lambda: "action=database_back" in workers.log(), "the worker says that the database is back")
    assert workers.log().count("action=database_away") == 1
    later = call(target.url("/"))
    assert ended(later).status == "success"
    assert workers.stop(worker) == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--processes=0"], "--processes must be a whole number from 1 to 128, not '0'."),
        (["--concurrency=abc"], "--concurrency must be a whole number from 1 to 2000, not 'abc'."),
        (["--metrics-port=65536"], "--metrics-port must be a whole number from 1 to 65535, not '65536'."),
        (["--metrics-port=65535", "--processes=2"], "--metrics-port must be a whole number from 1 to 65534"),
        (["--once", "--drain"], "Give --once or --drain, not both."),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_code_2(workers: Workers, options: list[str], sentence: str) -> None:
    worker = workers.start(*options)
    assert worker.wait(PATIENCE_SECONDS) == 2
    (line,) = workers.log().splitlines()
    assert sentence in line


@pytest.mark.sqlite_only
def test_a_database_without_tables_is_one_line_that_says_what_to_do(workers: Workers, tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    worker = workers.start(DATABASE_URL=f"sqlite:///{tmp_path}/empty.db")
    assert worker.wait(PATIENCE_SECONDS) == 1
    assert workers.log().strip() == "CommandError: The database has no tables yet. Run `python manage.py migrate`."
