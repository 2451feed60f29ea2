"""S6: how much CPU does the database use per run, beside the worker's own?"""

from __future__ import annotations

from bench.drain import drain
from bench.harness import Bench
from bench.question import Answer, Question, Sample, compare

QUESTION = Question("S6", "database CPU per run : worker CPU per run", 0.2, at_least=False)
DUE = 3000


def measure(bench: Bench) -> Answer:
    """Both from the same drain: the kernel's count for all processes of the server and of the worker."""
    target = bench.stage.target()
    due = bench.size(DUE)
    database = bench.stage.postgres("drain", target.urls, due=due)
    last: list[Sample] = []

    def database_cpu() -> Sample:
        drained = drain(bench.stage, database, target)
        last[:] = [drained.sample(1000 * drained.worker_cpu / due)]
        return drained.sample(1000 * drained.database_cpu / due)

    return compare(bench, QUESTION, {"database_ms": database_cpu, "worker_ms": lambda: last[0]})[0]
