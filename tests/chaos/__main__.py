"""`python -m tests.chaos`: break everything that can break, then say whether every promise was kept."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time

from tests.chaos.harness import Report, run_chaos
from tests.chaos.mutations import MUTATIONS, NONE
from tests.chaos.plan import PLANS

SHOWN = 5
DEFAULT_SEED = 1


def say(text: str) -> None:
    """One line on standard output, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def tell(report: Report) -> None:
    """The report for people."""
    say("Faults:")
    for line in report.faults:
        say(f"  {line}")
    for name, value in report.figures.items():
        say(f"{name}: {value}")
    for verdict in report.verdicts:
        state = "ok  " if verdict.holds else "RED "
        note = f" ({verdict.note})" if verdict.note else ""
        say(f"{state} {verdict.name}: {verdict.checked} checked, {len(verdict.problems)} wrong{note}")
        for problem in verdict.problems[:SHOWN]:
            say(f"       {problem}")
        if len(verdict.problems) > SHOWN:
            say(f"       ... and {len(verdict.problems) - SHOWN} more")


def as_json(report: Report) -> str:
    """The report for programs."""
    verdicts = [
        {"name": one.name, "holds": one.holds, "checked": one.checked, "problems": one.problems, "note": one.note}
        for one in report.verdicts
    ]
    value = {"green": report.green, "verdicts": verdicts, "faults": report.faults, "figures": report.figures}
    return json.dumps(value, indent=2)


def main() -> int:
    """Run and report; 0 if every invariant holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="another seed is another sequence of faults")
    parser.add_argument("--plan", choices=PLANS, default="everything", help="which faults (default: all of them)")
    parser.add_argument("--mutation", choices=[NONE, *MUTATIONS], default=NONE, help="a mechanism to take out")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    options = parser.parse_args()
    began = time.monotonic()
    report = run_chaos(PLANS[options.plan](options.seed), seed=options.seed, mutation=options.mutation)
    report.figures["seconds in all"] = round(time.monotonic() - began, 1)
    if options.json:
        say(as_json(report))
    else:
        tell(report)
        say(f"{'GREEN' if report.green else 'RED'}: seed {options.seed}, {time.monotonic() - began:.0f} s in all")
    if report.green:
        shutil.rmtree(report.directory, ignore_errors=True)
    else:
        sys.stderr.write(f"Logs are in {report.directory}\n")
    return 0 if report.green else 1


if __name__ == "__main__":
    sys.exit(main())
