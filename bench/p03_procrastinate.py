"""P3: one worker process beside one process of procrastinate, recording the same rows."""

from __future__ import annotations

from bench.drain import drain
from bench.harness import Bench
from bench.peering import async_drain
from bench.question import Answer, Question, compare

QUESTION = Question("P3", "1 process : procrastinate + aiohttp recording the same rows", 2.8)
DUE = 2000


def measure(bench: Bench) -> Answer:
    """The same number of calls to the same targets; see bench.peers.procrastinate_peer for how it is set up."""
    target = bench.stage.target()
    due = bench.size(DUE)
    ours = bench.stage.postgres("beside_procrastinate", target.urls, due=due)
    theirs = bench.stage.postgres("procrastinate", target.urls, due=due)
    return compare(
        bench,
        QUESTION,
        {
            "worker": lambda: drain(bench.stage, ours, target).sample(),
            "procrastinate": lambda: async_drain(bench.stage, theirs, target, due=due, name="procrastinate"),
        },
    )[0]
