"""P4: what does the default database, a file, cost beside a server?"""

from __future__ import annotations

from bench.drain import drain
from bench.harness import Bench
from bench.question import Answer, Question, compare

QUESTION = Question("P4", "SQLite default, 1 process : the same on PostgreSQL", 0.8)
DUE = 3000


def measure(bench: Bench) -> Answer:
    """The same drain on both. SQLite's rate ends when a look finds all done (every 50 ms)."""
    target = bench.stage.target()
    due = bench.size(DUE)
    file = bench.stage.sqlite("drain", target.urls, due=due)
    server = bench.stage.postgres("drain", target.urls, due=due)
    return compare(
        bench,
        QUESTION,
        {
            "sqlite": lambda: drain(bench.stage, file, target).sample(),
            "postgresql": lambda: drain(bench.stage, server, target).sample(),
        },
    )[0]
