"""S1: how much of a plain pool's speed is left when every call is a Run with all its guarantees?"""

from __future__ import annotations

from bench.drain import drain_beside_raw
from bench.harness import Bench
from bench.question import Answer, Question

QUESTION = Question("S1", "1 process draining 3,000 due schedules: recorded runs/s : RAW", 1.2)
DUE = 3000


def measure(bench: Bench) -> Answer:
    """Targets that answer at once."""
    return drain_beside_raw(bench, QUESTION, "drain", due=bench.size(DUE))
