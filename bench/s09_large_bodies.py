"""S9: do response bodies of 20 KB, stored with each attempt, slow the worker down?"""

from __future__ import annotations

from bench.drain import drain
from bench.harness import Bench
from bench.question import Answer, Question, compare

QUESTION = Question("S9", "runs/s with 20 KB response bodies : with small ones", 0.9)
DUE = 3000
BODY_BYTES = 20 * 1024


def measure(bench: Bench) -> Answer:
    """One worker process, two targets that differ in the size of their answers."""
    small, large = bench.stage.target(), bench.stage.target(body_bytes=BODY_BYTES)
    due = bench.size(DUE)
    plain = bench.stage.postgres("drain", small.urls, due=due)
    heavy = bench.stage.postgres("large_bodies", large.urls, due=due)
    return compare(
        bench,
        QUESTION,
        {
            "large": lambda: drain(bench.stage, heavy, large).sample(),
            "small": lambda: drain(bench.stage, plain, small).sample(),
        },
    )[0]
