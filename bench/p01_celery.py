"""P1: two worker processes beside Celery with Redis, two processes, recording the same rows."""

from __future__ import annotations

from bench.drain import drain
from bench.harness import Bench
from bench.peering import celery_drain
from bench.question import Answer, Question, compare

QUESTION = Question("P1", "2 processes, runs/s : Celery + Redis prefork -c 2 recording the same rows", 6.0)
DUE = 2000


def measure(bench: Bench) -> Answer:
    """The same number of calls to the same targets; see bench.peers.celery_peer for how Celery is set up."""
    target = bench.stage.target()
    due = bench.size(DUE)
    ours = bench.stage.postgres("beside_celery", target.urls, due=due)
    theirs = bench.stage.postgres("celery", target.urls, due=due)
    return compare(
        bench,
        QUESTION,
        {
            "worker": lambda: drain(bench.stage, ours, target, processes=2).sample(),
            "celery": lambda: celery_drain(bench.stage, theirs, target, due=due),
        },
    )[0]
