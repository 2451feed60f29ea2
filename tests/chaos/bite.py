"""`python -m tests.chaos.bite [MUTATION ...]`: show that the harness turns red when a mechanism is taken out.

Each mutation runs under a short plan that meets it, and the same plan runs without any: the first must be red by the
invariant named here, the second green.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence

from tests.chaos.__main__ import say
from tests.chaos.harness import Report, run_chaos
from tests.chaos.mutations import MUTATIONS, NONE
from tests.chaos.plan import Fault, Kind, repeated

SEED = 7
FREEZES = (Kind.FREEZE,) * 3
KILLS = (Kind.KILL,) * 5
AWAY = (Kind.DATABASE_AWAY,)
# The plan, and the invariant that must notice.
EXPECTED: dict[str, tuple[tuple[Kind, ...], str]] = {
    "drop_the_token": (FREEZES, "no run and no attempt is stuck"),
    "drop_the_reaper_grace": (AWAY, "only killed or frozen workers lose runs"),
    "advance_in_a_second_transaction": (KILLS, "counters agree with the rows"),
    "advance_before_the_runs": (KILLS, "no nominal time is missing"),
    "random_key": (KILLS, "every call received is known, once"),
    "random_run_id": (KILLS, "no nominal time has two runs"),
    "retry_an_at_most_once_orphan": (KILLS, "at-most-once orphans are never sent again"),
}


def main() -> int:
    """Try the given mutations, or all; 0 if each is caught as expected and every control is green."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.bite", description=__doc__)
    parser.add_argument("mutations", nargs="*", choices=[*MUTATIONS, []], help="which ones (default: all)")
    chosen = parser.parse_args().mutations or list(MUTATIONS)
    plans = dict.fromkeys(EXPECTED[name][0] for name in chosen)
    right = [_control(kinds) for kinds in plans] + [_mutant(name) for name in chosen]
    say(f"{sum(right)} of {len(right)} as expected")
    return 0 if all(right) else 1


def _control(kinds: Sequence[Kind]) -> bool:
    report = _run(repeated(*kinds, seed=SEED), NONE)
    red = _red(report)
    say(f"{'ok  ' if not red else 'BAD '} nothing taken out, {len(kinds)} x {kinds[0]}: {'; '.join(red) or 'green'}")
    return not red


def _mutant(name: str) -> bool:
    kinds, expected = EXPECTED[name]
    red = _red(_run(repeated(*kinds, seed=SEED), name))
    caught = expected in red
    say(f"{'ok  ' if caught else 'BAD '} {name}, {len(kinds)} x {kinds[0]}: red by {'; '.join(red) or 'nothing'}")
    return caught


def _red(report: Report) -> list[str]:
    return [verdict.name for verdict in report.verdicts if not verdict.holds]


def _run(plan: Sequence[Fault], mutation: str) -> Report:
    report = run_chaos(plan, seed=SEED, mutation=mutation)
    for verdict in report.verdicts:
        for problem in verdict.problems[:2]:
            say(f"     {mutation}: {verdict.name}: {problem[:300]}")
    shutil.rmtree(report.directory, ignore_errors=True)
    return report


if __name__ == "__main__":
    sys.exit(main())
