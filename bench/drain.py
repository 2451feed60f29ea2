"""The measurement behind most questions: schedules that are due at one moment, and workers that are ready for them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import IO

from bench.account import Account, take_account
from bench.databases import Database, cpu_of_tree, wait_until_drained
from bench.harness import Bench
from bench.question import Answer, Question, Sample, compare
from bench.seed import DUE_PREFIX
from bench.stage import CHECKOUT, Stage, Target

READY_SECONDS = 60
# Longer than a worker's longest sleep (WORKER_POLL_SECONDS), so that it knows what is coming.
NOTICE_SECONDS = 2.0
DRAIN_SECONDS = 240


@dataclass(frozen=True, slots=True)
class Drained:
    """One drain. `seconds` are from the moment when all was due to the commit of the last result."""

    account: Account
    seconds: float
    worker_cpu: float
    database_cpu: float
    # Seconds from the nominal time to the start of the attempt, as recorded, and to its arrival at the target.
    started_late: list[float] = field(repr=False)
    arrived_late: list[float] = field(repr=False)

    @property
    def rate(self) -> float:
        """Recorded runs per second."""
        return self.account.rows / self.seconds

    def sample(self, value: float | None = None, **more: float) -> Sample:
        """As one side of a round; the rate, unless another value is what is asked for."""
        detail = {
            "runs_per_second": round(self.rate, 1),
            "worker_cpu_ms_per_run": round(1000 * self.worker_cpu / self.account.rows, 3),
            "database_cpu_ms_per_run": round(1000 * self.database_cpu / self.account.rows, 3),
            "account": asdict(self.account),
            **more,
        }
        return Sample(self.rate if value is None else value, detail)


@contextmanager
def workers(
    stage: Stage, database: Database, *, processes: int = 1, options: tuple[str, ...] = (), **settings: str
) -> Iterator[subprocess.Popen[bytes]]:
    """`manage.py runscheduler` as people start it, ready to work; stopped at the end.

    One process is started without `--processes`, as the README has it.

    Raises:
        RuntimeError: it doesn't start, or ends with an error; its log is in the message.
    """
    command = [sys.executable, str(CHECKOUT / "manage.py"), "runscheduler", *options]
    if processes > 1:
        command.append(f"--processes={processes}")
    before = _live(database)
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, cwd=CHECKOUT, env={**stage.environment, "DATABASE_URL": database.url, **settings}, stderr=log
        )
        try:
            deadline = time.monotonic() + READY_SECONDS
            while _live(database) < before + processes:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the worker doesn't start:\n{_read(log)}")
                time.sleep(0.05)
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(READY_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.returncode:
            raise RuntimeError(f"the worker ended with {process.returncode}:\n{_read(log)}")


def _live(database: Database) -> int:
    return int(database.rows("SELECT count(*) FROM worker_workerprocess")[0][0])


def _read(log: IO[bytes]) -> str:
    log.seek(0)
    return log.read().decode(errors="replace")[-4000:]


def make_due(database: Database, nominal: float) -> int:
    """All schedules that bench.seed has meant for it become due at `nominal`; how many."""
    moment, started = database.moment(nominal), database.moment(nominal - 86_400)
    database.rows(
        f"UPDATE schedules_schedule SET status = 'active', next_run_at = {{}}, started_at = {{}}"
        f" WHERE substr(name, 1, {len(DUE_PREFIX)}) = '{DUE_PREFIX}'",
        moment,
        started,
    )
    return int(database.rows("SELECT count(*) FROM schedules_schedule WHERE next_run_at = {}", moment)[0][0])


def drain(
    stage: Stage,
    database: Database,
    target: Target,
    *,
    processes: int = 1,
    options: tuple[str, ...] = (),
    settings: dict[str, str] | None = None,
) -> Drained:
    """Start workers, let the schedules become due, wait until all is recorded, and check the account (S11).

    Raises:
        AssertionError: the account is not exact.
    """
    target.forget()
    with workers(stage, database, processes=processes, options=options, **(settings or {})) as process:
        nominal = round(time.time() + NOTICE_SECONDS, 3)
        due = make_due(database, nominal)
        time.sleep(max(0.0, nominal - 0.1 - time.time()))
        worker_before, database_before = cpu_of_tree(process.pid), database.cpu_seconds()
        ended = wait_until_drained(database, nominal, seconds=DRAIN_SECONDS)
        worker_cpu = cpu_of_tree(process.pid) - worker_before
        database_cpu = database.cpu_seconds() - database_before
    calls = target.calls()
    account = take_account(database, nominal, due=due, calls=calls)
    started = [at - nominal for at in database.started_at(nominal)]
    arrived = [at - nominal for _, at in calls]
    return Drained(account, ended - nominal, worker_cpu, database_cpu, started, arrived)


def raw(stage: Stage, target: Target, *, calls: int, processes: int = 1, threads: int = 100) -> Sample:
    """The ceiling: the same number of calls to the same targets by plain `requests` pools; calls per second."""
    target.forget()
    at = time.time() + 1.0 + 0.5 * processes
    share = [calls // processes + (number < calls % processes) for number in range(processes)]
    pools = [
        stage.spawn("bench.raw", f"--threads={threads}", f"--calls={count}", f"--at={at}", *target.urls)
        for count in share
    ]
    told = [json.loads(pool.communicate(timeout=DRAIN_SECONDS)[0]) for pool in pools]
    arrived = target.count()
    if arrived != calls:
        raise AssertionError(f"RAW made {calls} calls, the target saw {arrived}")
    cpu = sum(one["cpu_seconds"] for one in told)
    rate = calls / max(one["seconds"] for one in told)
    return Sample(rate, {"calls_per_second": round(rate, 1), "cpu_ms_per_call": round(1000 * cpu / calls, 3)})


def drain_beside_raw(bench: Bench, question: Question, database_name: str, *, due: int, delay_ms: float = 0) -> Answer:
    """Rounds of one worker process with its default 100 seats, beside one pool with 100 threads."""
    target = bench.stage.target(delay_ms=delay_ms)
    database = bench.stage.postgres(database_name, target.urls, due=due)
    return compare(
        bench,
        question,
        {
            "worker": lambda: drain(bench.stage, database, target).sample(),
            "raw": lambda: raw(bench.stage, target, calls=due),
        },
    )[0]
