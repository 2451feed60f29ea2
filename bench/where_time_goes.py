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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

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


def _steps(database: PostgresDatabase) -> dict[str, tuple[float, float]]:
    import django

    django.setup()
    from uuid import uuid4

    from bench.drain import make_due
    from runs.claim import claim_ready
    from runs.enqueue import enqueue_due
    from runs.outcome import Outcome
    from runs.record import record_results
    from runs.tickets import Result
    from schedules.clock import database_now
    from targets.egress_settings import egress_policy
    from worker.executor import Executor
    from worker.seats import Seats

    spent: dict[str, list[float]] = {}

    @contextmanager
    def timed(step: str) -> Iterator[None]:
        ours, theirs = time.process_time(), database.cpu_seconds()
        yield
        total = spent.setdefault(step, [0.0, 0.0])
        total[0] += time.process_time() - ours
        total[1] += database.cpu_seconds() - theirs

    def until_done(step: str, work: Callable[[], int]) -> None:
        found = 1
        while found:
            with timed(step):
                found = work()

    executor, seats, worker = Executor(egress_policy(), SEATS), Seats(SEATS), uuid4()
    make_due(database, round(time.time(), 3))
    time.sleep(0.1)
    until_done("enqueue", lambda: enqueue_due(database_now(), poll_seconds=1))

    def batch() -> int:
        now = database_now()
        with timed("claim"):
            tickets = claim_ready(now=now, worker_id=worker, seats=seats)
        if not tickets:
            return 0
        results: list[Any] = []
        with timed("call"):
            for ticket in tickets:
                outcome = ticket.request if isinstance(ticket.request, Outcome) else executor.execute(ticket.request)
                results.append(Result(ticket, outcome, now, now))
        for ticket in tickets:
            seats.give_back(ticket.target_id)
        with timed("record"):
            record_results(results, now=database_now())
        return len(tickets)

    while batch():
        pass
    executor.close()
    return {step: (ours, theirs) for step, (ours, theirs) in spent.items()}


if __name__ == "__main__":
    main()
