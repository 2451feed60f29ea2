"""`python -m tests.chaos.bite [MUTATION ...]`: show that the harness turns red when a mechanism is taken out.

Each mutation runs under a short plan that meets it, and the same plan runs without any: the first must be red by the
invariant named here, the second green. Some mechanisms guard against a race of a second or less: where the first
sequence of faults has not met it, up to two others are tried.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

from tests.chaos.__main__ import say
from tests.chaos.fleet import CHECKOUT
from tests.chaos.mutations import MUTATIONS, NONE

SEEDS = (7, 8, 9)
# The plan, and the invariant that must notice.
EXPECTED: dict[str, tuple[str, str]] = {
    "drop_the_token": ("freezes", "no run and no attempt is stuck"),
    "drop_the_reaper_grace": ("away", "only killed or frozen workers lose runs"),
    "advance_in_a_second_transaction": ("kills", "counters agree with the rows"),
    "advance_before_the_runs": ("kills", "no nominal time is missing"),
    "random_key": ("kills", "every call received is known, once"),
    "random_run_id": ("kills", "no nominal time has two runs"),
    "overlook_active_runs": ("kills", "overlap policies skip and queue hold"),
    "retry_an_at_most_once_orphan": ("kills", "at-most-once orphans are never sent again"),
}


def main() -> int:
    """Try the given mutations, or all; 0 if each is caught as expected and every control is green."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.bite", description=__doc__)
    parser.add_argument("mutations", nargs="*", choices=[*MUTATIONS, []], help="which ones (default: all)")
    chosen = parser.parse_args().mutations or list(MUTATIONS)
    plans = dict.fromkeys(EXPECTED[name][0] for name in chosen)
    right = [_is_green(plan) for plan in plans] + [_is_caught(name) for name in chosen]
    say(f"{sum(right)} of {len(right)} as expected")
    return 0 if all(right) else 1


def _is_green(plan: str) -> bool:
    red = _red_by(plan, NONE, SEEDS[0])
    say(f"{'BAD ' if red else 'ok  '} {plan}, nothing taken out: {'red by ' + '; '.join(red) if red else 'green'}")
    return not red


def _is_caught(name: str) -> bool:
    plan, expected = EXPECTED[name]
    for seed in SEEDS:
        red = _red_by(plan, name, seed)
        told = f"red by {'; '.join(red)}" if red else "green"
        say(f"{'ok  ' if expected in red else 'BAD '} {plan}, seed {seed}, {name}: {told}")
        if expected in red:
            return True
    return False


def _red_by(plan: str, mutation: str, seed: int) -> list[str]:
    """Names of the invariants that a run with the mutation breaks, each with a first example on standard error."""
    options = ["--seed", str(seed), "--plan", plan, "--mutation", mutation, "--json"]
    command = [sys.executable, "-m", "tests.chaos", *options]
    done = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, check=False)
    if not done.stdout:
        return ["a harness that failed itself"]
    red = [verdict for verdict in json.loads(done.stdout)["verdicts"] if not verdict["holds"]]
    for verdict in red:
        sys.stderr.write(
            f"     {verdict['name']}: {len(verdict['problems'])}, such as {verdict['problems'][0][:300]}\n"
        )
    return [verdict["name"] for verdict in red]


if __name__ == "__main__":
    sys.exit(main())
