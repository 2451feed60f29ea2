"""S2: does a second worker process bring what a second core has to give?"""

from __future__ import annotations

from bench.drain import drain
from bench.harness import Bench
from bench.question import Answer, Question, compare

QUESTION = Question("S2", "2 processes : 1 process", 1.7)
DUE = 3000


def measure(bench: Bench) -> Answer:
    """The same drain by `--processes 2` and by one process."""
    target = bench.stage.target()
    database = bench.stage.postgres("drain", target.urls, due=bench.size(DUE))
    return compare(
        bench,
        QUESTION,
        {
            "two": lambda: drain(bench.stage, database, target, processes=2).sample(),
            "one": lambda: drain(bench.stage, database, target).sample(),
        },
    )[0]
