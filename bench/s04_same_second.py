"""S4: when 1,000 schedules are due in the same second, how late does the last of them start?"""

from __future__ import annotations

from bench.drain import drain, raw
from bench.harness import Bench
from bench.question import Answer, Question, Sample, compare, percentile

QUESTION = Question(
    "S4", "1,000 due in the same second, 2 processes: p99 lateness : 1000 / RAW of 2", 0.9, at_least=False
)
DUE = 1000


def measure(bench: Bench) -> Answer:
    """Lateness as it is recorded (start minus nominal time); when the calls arrived at the target is told beside it."""
    target = bench.stage.target()
    due = bench.size(DUE)
    database = bench.stage.postgres("same_second", target.urls, due=due)

    def lateness() -> Sample:
        drained = drain(bench.stage, database, target, processes=2)
        return drained.sample(
            percentile(drained.started_late, 99),
            p50_ms=1000 * percentile(drained.started_late, 50),
            p99_at_target_ms=1000 * percentile(drained.arrived_late, 99),
        )

    def ceiling() -> Sample:
        sample = raw(bench.stage, target, calls=due, processes=2)
        return Sample(due / sample.value, sample.detail)

    return compare(bench, QUESTION, {"p99_seconds": lateness, "raw_seconds": ceiling})[0]
