"""`python -m bench`: ask all questions, or some, and print one table.

python -m bench --only S1,S2 --rounds 3        # some
python -m bench --quick                        # S1 S2 S4 S5 S11, in minutes
python -m bench --json > results.jsonl         # every round as a line of JSON, instead of the table
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import cast

from bench.harness import Bench, QuestionModule, table
from bench.stage import CHECKOUT, Stage

QUESTIONS = {
    "S1": "s01_one_process",
    "S2": "s02_two_processes",
    "S3": "s03_slow_target",
    "S4": "s04_same_second",
    "S5": "s05_long_past",
    "S6": "s06_database_share",
    "S7": "s07_steady_rate",
    "S8": "s08_cold_https",
    "S9": "s09_large_bodies",
    "S10": "s10_next_fire",
    "P1": "p01_celery",
    "P2": "p02_apscheduler",
    "P3": "p03_procrastinate",
    "P4": "p04_sqlite",
    "A1": "a01_pages",
    "A2": "a02_worker_memory",
    "S11": "s11_account",
}
QUICK = ("S1", "S2", "S4", "S5", "S11")


def main() -> int:
    """Exit code 1 if a question could not be answered; a goal that is missed is an answer."""
    options = _options()
    names = [name for name in QUESTIONS if name in options.only]
    with Stage() as stage:
        bench = Bench(stage, rounds=options.rounds, scale=options.scale, results=options.results, as_json=options.json)
        bench.write_conditions()
        for name in names:
            bench.ask(cast(QuestionModule, import_module(f"bench.{QUESTIONS[name]}")))
    if not options.json:
        print(table(bench.answers, bench.failures))
    bench.say(f"every round is in {options.results}")
    return 1 if bench.failures else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure this project beside its peers.")
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    parser.add_argument("--only", default="", help="these questions only, with commas: S1,P2")
    parser.add_argument("--rounds", type=int, help="interleaved rounds per question (default: 3; 2 with --quick)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiply every size, to try things out")
    parser.add_argument("--json", action="store_true", help="lines of JSON on standard output, not the table")
    parser.add_argument("--list", action="store_true", help="list the questions and end")
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    parser.add_argument("--results", type=Path, default=CHECKOUT / "bench" / "results" / f"{stamp}.jsonl")
    options = parser.parse_args()
    if options.list:
        for name, module in QUESTIONS.items():
            question = cast(QuestionModule, import_module(f"bench.{module}")).QUESTION
            print(f"{name:4} {question.ratio} ({question.goal:g})")
        sys.exit(0)
    options.rounds = options.rounds or (2 if options.quick else 3)
    options.only = [name for name in options.only.upper().split(",") if name] or list(
        QUICK if options.quick else QUESTIONS
    )
    unknown = [name for name in options.only if name not in QUESTIONS and name not in QUICK]
    if unknown:
        parser.error(f"no such question: {', '.join(unknown)}; there are {', '.join(QUESTIONS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
