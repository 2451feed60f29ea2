"""P2: one worker process beside one process of APScheduler, recording the same rows."""

from __future__ import annotations

from bench.drain import drain
from bench.harness import Bench
from bench.peering import async_drain
from bench.question import Answer, Question, compare

QUESTION = Question("P2", "1 process : APScheduler 3 + shared httpx + SQLAlchemy async recording the same rows", 5.5)
DUE = 2000


def measure(bench: Bench) -> Answer:
    """The same number of calls to the same targets; see bench.peers.apscheduler_peer for how it is set up."""
    target = bench.stage.target()
    due = bench.size(DUE)
    ours = bench.stage.postgres("beside_apscheduler", target.urls, due=due)
    theirs = bench.stage.postgres("apscheduler", target.urls, due=due)
    return compare(
        bench,
        QUESTION,
        {
            "worker": lambda: drain(bench.stage, ours, target).sample(),
            "apscheduler": lambda: async_drain(bench.stage, theirs, target, due=due, name="apscheduler"),
        },
    )[0]
