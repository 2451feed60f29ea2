"""Where the time of a run goes: CPU per run of each step of the worker, and of the database while it works for it.

    .venv/bin/python -m bench.where_time_goes [--runs 3000] [--body-bytes 0]

One thread does the steps one after the other, in batches of a hundred as the loop does them, so that each can be told
from the others. In the worker the calls are made by the pool's threads, which adds what threads cost.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from bench.stage import Stage

if TYPE_CHECKING:
    from bench.databases import PostgresDatabase

SEATS = 100


def main() -> None:
    """See the top of this file."""
    parser = argparse.ArgumentParser(description="CPU per run of each step.")
    parser.add_argument("--runs", type=int, default=3000)
    parser.add_argument("--body-bytes", type=int, default=0)
    options = parser.parse_args()
    with Stage() as stage:
        target = stage.target(body_bytes=options.body_bytes)
        database = stage.postgres("steps", target.urls, due=options.runs)
        os.environ.update({**stage.environment, "DATABASE_URL": database.url})
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scheduler_project.settings")
        spent = _steps(database)
    total = sum(ours for ours, _ in spent.values())
    print("| step | worker CPU, us per run | share | database CPU, us per run |", "|---|---|---|---|", sep="\n")
    for step, (ours, theirs) in spent.items():
        print(f"| {step} | {1e6 * ours / options.runs:.0f} | {ours / total:.0%} | {1e6 * theirs / options.runs:.0f} |")
    print(
        json.dumps({step: [1e6 * value / options.runs for value in both] for step, both in spent.items()}),
        file=sys.stderr,
    )


class Spent:
    """CPU seconds by step, ours and the database's."""

    def __init__(self, database: PostgresDatabase) -> None:
        self.by_step: dict[str, tuple[float, float]] = {}
        self._database = database

    @contextmanager
    def on(self, step: str) -> Iterator[None]:
        """What is done meanwhile belongs to `step`."""
        # Looking at the database's processes costs CPU of ours, which is no step's.
        theirs = self._database.cpu_seconds()
        ours = time.process_time()
        yield
        used = (time.process_time() - ours, self._database.cpu_seconds() - theirs)
        before = self.by_step.get(step, (0.0, 0.0))
        self.by_step[step] = (before[0] + used[0], before[1] + used[1])


def _steps(database: PostgresDatabase) -> dict[str, tuple[float, float]]:
    import django

    django.setup()

    from bench.drain import make_due
    from runs.enqueue import enqueue_due
    from schedules.clock import database_now

    spent = Spent(database)
    make_due(database, round(time.time(), 3))
    time.sleep(0.1)
    found = 1
    while found:
        with spent.on("enqueue"):
            found = enqueue_due(database_now(), poll_seconds=1)
    _work_off(spent)
    return spent.by_step


def _work_off(spent: Spent) -> None:
    """Claim, call and record until nothing is left."""
    from runs.claim import claim_ready
    from runs.outcome import Outcome
    from runs.record import record_results
    from runs.tickets import Result
    from schedules.clock import database_now
    from targets.egress_settings import egress_policy
    from worker.executor import Executor
    from worker.seats import Seats

    executor, seats, worker = Executor(egress_policy(), SEATS), Seats(SEATS), uuid4()
    while True:
        now = database_now()
        with spent.on("claim"):
            tickets = claim_ready(now=now, worker_id=worker, seats=seats)
        if not tickets:
            break
        results: list[Any] = []
        with spent.on("call"):
            for ticket in tickets:
                outcome = ticket.request if isinstance(ticket.request, Outcome) else executor.execute(ticket.request)
                results.append(Result(ticket, outcome, now, now))
        for ticket in tickets:
            seats.give_back(ticket.target_id)
        with spent.on("record"):
            record_results(results, now=database_now())
    executor.close()


if __name__ == "__main__":
    main()
