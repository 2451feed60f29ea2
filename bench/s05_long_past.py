"""S5: does a million idle schedules and a million past runs in the database slow the worker down?"""

from __future__ import annotations

from bench.drain import drain
from bench.harness import Bench
from bench.question import Answer, Question, compare

QUESTION = Question("S5", "runs/s with 1,000,000 idle schedules and past runs : with none", 0.95)
DUE = 3000
MILLION = 1_000_000


def measure(bench: Bench) -> Answer:
    """One worker process, the same due schedules, two databases on one server."""
    target = bench.stage.target()
    due = bench.size(DUE)
    empty = bench.stage.postgres("drain", target.urls, due=due)
    bench.say("filling a database with a long past")
    full = bench.stage.postgres("million", target.urls, due=due, history=bench.size(MILLION))
    return compare(
        bench,
        QUESTION,
        {
            "million": lambda: drain(bench.stage, full, target).sample(),
            "none": lambda: drain(bench.stage, empty, target).sample(),
        },
    )[0]
