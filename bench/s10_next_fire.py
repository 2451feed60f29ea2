"""S10: what does working out the next fire of a cron schedule cost, beside the call itself?"""

from __future__ import annotations

import json

from bench.drain import raw
from bench.harness import Bench
from bench.question import Answer, Question, Sample, compare

QUESTION = Question("S10", "next-fire cost per claimed cron run : one pooled requests call", 0.1, at_least=False)
DUE = 3000


def measure(bench: Bench) -> Answer:
    """CPU of planning 3,000 cron schedules as enqueue does, in a fresh process; CPU of a call of RAW's."""
    target = bench.stage.target()
    due = bench.size(DUE)
    database = bench.stage.postgres("cron_only", target.urls, due=due, cron=1.0)

    def next_fire() -> Sample:
        told = json.loads(bench.stage.run("bench.next_fires", DATABASE_URL=database.url))
        return Sample(told["cpu_ms"], told)

    def call() -> Sample:
        # As many threads as there are targets: no more CPU than a pool needs.
        sample = raw(bench.stage, target, calls=due, threads=len(target.urls))
        return Sample(float(sample.detail["cpu_ms_per_call"]), sample.detail)

    return compare(bench, QUESTION, {"next_fire_ms": next_fire, "call_ms": call})[0]
