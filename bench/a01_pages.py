"""A1: do the pages that people and programs look at stay fast when a million runs lie behind them?"""

from __future__ import annotations

import json

from bench.databases import PostgresDatabase
from bench.harness import Bench
from bench.question import Answer, Question, Sample, compare

QUESTION = Question("A1", "slowest page with 1,000,000 runs : the same with 1,000", 2.0, at_least=False)
MANY, FEW = 1_000_000, 1_000
# The same in both: what is asked is the cost of runs. So few that each has a full page of them, even of a thousand.
SCHEDULES = 10


def measure(bench: Bench) -> Answer:
    """Each page is asked for many times in one process; the page whose median grew most is the answer."""
    target = bench.stage.target()
    few = bench.stage.postgres("few_runs", target.urls, due=10, history=SCHEDULES, past=FEW)
    bench.say("filling a database with a long past")
    many = bench.stage.postgres("many_runs", target.urls, due=10, history=SCHEDULES, past=bench.size(MANY))
    worst: dict[str, float] = {}
    queries_constant = True

    def ask(database: PostgresDatabase) -> dict[str, dict[str, float]]:
        told: dict[str, dict[str, float]] = json.loads(bench.stage.run("bench.page_times", DATABASE_URL=database.url))
        return told

    def side_many() -> Sample:
        nonlocal queries_constant
        big, small = ask(many), ask(few)
        growth = {page: big[page]["ms"] / small[page]["ms"] for page in small}
        queries_constant = queries_constant and all(big[page]["queries"] == small[page]["queries"] for page in small)
        for page, ratio in growth.items():
            worst[page] = max(worst.get(page, 0.0), ratio)
        return Sample(max(growth.values()), {"growth": growth, "many": big, "few": small})

    answer, told = compare(bench, QUESTION, {"growth": side_many}, ratio=lambda values: values["growth"])
    pages = told[-1]["growth"].detail["many"]
    note = ", ".join(f"{page} {numbers['ms']:.1f} ms/{numbers['queries']:g} queries" for page, numbers in pages.items())
    if not queries_constant:
        note = f"the number of queries grows; {note}"
    return Answer(QUESTION, answer.ratio, answer.ratios, answer.values, note=note, holds=queries_constant)
