"""S11: rows = attempts = calls the target logged = due, none twice, in every benchmark. Asked last."""

from __future__ import annotations

from bench.account import TAKEN
from bench.harness import Bench
from bench.question import Answer, Question

QUESTION = Question(
    "S11", "drains whose account is exact (due = rows = attempts = calls, none twice) : all drains", 1.0
)


def measure(bench: Bench) -> Answer:
    """Every drain of this run has taken its account; one that does not settle also fails its own question."""
    exact = sum(account.exact for account in TAKEN)
    ratio = exact / len(TAKEN) if TAKEN else 0.0
    calls = sum(account.calls for account in TAKEN)
    return Answer(
        QUESTION, ratio, [ratio], {"exact": exact, "drains": len(TAKEN)}, note=f"{calls} calls", holds=ratio == 1.0
    )
