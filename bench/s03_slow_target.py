"""S3: how many calls go on at once when each takes 50 ms? Seats, not CPU, should be the limit."""

from __future__ import annotations

from bench.drain import drain, raw
from bench.harness import Bench
from bench.question import Answer, Question, compare

QUESTION = Question("S3", "50 ms target, 100 threads: runs/s : RAW on that target", 1.1)
DUE = 3000
DELAY_MS = 50


def measure(bench: Bench) -> Answer:
    """One worker process with its default 100 seats, one pool with 100 threads."""
    target = bench.stage.target(delay_ms=DELAY_MS)
    due = bench.size(DUE)
    database = bench.stage.postgres("slow_target", target.urls, due=due)
    return compare(
        bench,
        QUESTION,
        {
            "worker": lambda: drain(bench.stage, database, target).sample(),
            "raw": lambda: raw(bench.stage, target, calls=due),
        },
    )[0]
