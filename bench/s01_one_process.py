"""S1: how much of a plain pool's speed is left when every call is a Run with all its guarantees?"""

from __future__ import annotations

from bench.drain import drain, raw
from bench.harness import Bench
from bench.question import Answer, Question, compare

QUESTION = Question("S1", "1 process draining 3,000 due schedules: recorded runs/s : RAW", 1.2)
DUE = 3000


def measure(bench: Bench) -> Answer:
    """One worker process beside one pool with as many threads as the worker has seats."""
    target = bench.stage.target()
    due = bench.size(DUE)
    database = bench.stage.postgres("drain", target.urls, due=due)
    return compare(
        bench,
        QUESTION,
        {
            "worker": lambda: drain(bench.stage, database, target).sample(),
            "raw": lambda: raw(bench.stage, target, calls=due),
        },
    )[0]
