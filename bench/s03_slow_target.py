"""S3: how many calls go on at once when each takes 50 ms? Seats, not CPU, should be the limit."""

from __future__ import annotations

from bench.drain import drain_beside_raw
from bench.harness import Bench
from bench.question import Answer, Question

QUESTION = Question("S3", "50 ms target, 100 threads: runs/s : RAW on that target", 1.1)
DUE = 3000
DELAY_MS = 50


def measure(bench: Bench) -> Answer:
    """Targets that take their time."""
    return drain_beside_raw(bench, QUESTION, "slow_target", due=bench.size(DUE), delay_ms=DELAY_MS)
