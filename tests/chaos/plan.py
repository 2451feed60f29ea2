"""What goes wrong and when: drawn from a seed, so that a red run can be repeated."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

WORKERS = 4
# Never killed or frozen: its memory, threads and descriptors are watched over the whole run.
SURVIVOR = 3
# Wall clock of each worker, in seconds off the truth.
SKEWS = (0, 3600, -3600, 0)
LEASE_SECONDS = 3.0
POLL_SECONDS = 0.2
DRAIN_SECONDS = 8.0
TIMEOUT_SECONDS = 7.0


class Kind(StrEnum):
    """What can go wrong. The value is what the report calls it."""

    KILL = "kill -9"
    TERMINATE = "SIGTERM"
    FREEZE = "SIGSTOP past the lease"
    RESTART_FAST = "database restart, fast"
    RESTART_IMMEDIATE = "database restart, immediate"
    DATABASE_AWAY = "database away past the lease"
    SLOW_TO_RETURN = "database away past the lease, and one worker slow to find it back"
    TARGET_FROZEN = "target frozen"
    TARGET_FAILING = "target answers 503"
    BURST = "1,000 schedules due in the same second"


@dataclass(frozen=True, slots=True)
class Fault:
    """One of them: `at` and `seconds` (how long it lasts) count from the first tick; `worker` where it is one's own."""

    at: float
    kind: Kind
    worker: int = 0
    seconds: float = 0.0


# How long each lasts (past the lease where it is None), and the time to leave before the next: some overlap.
LASTS: dict[Kind, tuple[float | None, float]] = {
    Kind.KILL: (0.0, 3.0),
    Kind.TERMINATE: (0.0, 3.0),
    Kind.FREEZE: (None, 5.0),
    Kind.RESTART_FAST: (0.3, 4.0),
    Kind.RESTART_IMMEDIATE: (0.3, 4.0),
    Kind.DATABASE_AWAY: (None, 11.0),
    Kind.SLOW_TO_RETURN: (None, 14.0),
    Kind.TARGET_FROZEN: (5.0, 4.0),
    Kind.TARGET_FAILING: (20.0, 2.0),
    Kind.BURST: (0.0, 3.0),
}
PAST_THE_LEASE = 2.5


def lasts(kind: Kind, lease_seconds: float) -> float:
    """How long this kind of fault lasts, in seconds."""
    seconds, _ = LASTS[kind]
    return lease_seconds + PAST_THE_LEASE if seconds is None else seconds


def everything(seed: int) -> list[Fault]:
    """Every kind of fault at least once, in about a minute."""
    rng = random.Random(seed)
    kinds = [Kind.TERMINATE, *[Kind.KILL] * 4, *[Kind.FREEZE] * 2, Kind.RESTART_FAST, Kind.RESTART_IMMEDIATE,
             Kind.DATABASE_AWAY, Kind.TARGET_FROZEN, Kind.TERMINATE, Kind.BURST]  # fmt: skip
    rng.shuffle(kinds)
    # It lasts longest: first, so that its end is seen as well.
    return in_turn([Kind.TARGET_FAILING, *kinds], rng, start=4.0)


def in_turn(kinds: Sequence[Kind], rng: random.Random, *, start: float) -> list[Fault]:
    """The faults one after the other, at moments and on workers that the seed gives."""
    faults = []
    at = start
    for kind in kinds:
        faults.append(Fault(at, kind, rng.randrange(SURVIVOR), lasts(kind, LEASE_SECONDS)))
        at += LASTS[kind][1] * rng.uniform(0.7, 1.2)
    return faults


def outages(rng: random.Random) -> list[Fault]:
    """The database away again and again, for 3 to 7 s: workers look for it 0.5, 1.5, 3.5 and 7.5 s after its loss."""
    faults = []
    at = 4.0
    for _ in range(3):
        seconds = LEASE_SECONDS + rng.uniform(0.0, 4.0)
        faults.append(Fault(at, Kind.SLOW_TO_RETURN, rng.randrange(SURVIVOR), seconds))
        at += seconds + 8
    return faults


# The plans by name: one with everything, and the short ones that mutations are tried with.
PLANS: dict[str, Callable[[int], list[Fault]]] = {
    "everything": everything,
    "freezes": lambda seed: in_turn([Kind.FREEZE] * 3, random.Random(seed), start=4.0),
    "kills": lambda seed: in_turn([Kind.KILL] * 6, random.Random(seed), start=4.0),
    "away": lambda seed: outages(random.Random(seed)),
}


SELDOM = (Kind.BURST, Kind.SLOW_TO_RETURN)
OFTEN: tuple[Kind, ...] = (Kind.KILL, *(kind for kind in Kind if kind not in SELDOM))


def endless(seed: int, seconds: float, *, lease_seconds: float) -> list[Fault]:
    """A fault every 30 to 90 seconds for the soak."""
    rng = random.Random(seed)
    faults = []
    at = rng.uniform(20, 40)
    kinds: list[Kind] = []
    while at < seconds - 30:
        if not kinds:
            kinds = list(OFTEN)
            rng.shuffle(kinds)
        kind = kinds.pop()
        faults.append(Fault(at, kind, rng.randrange(SURVIVOR), lasts(kind, lease_seconds)))
        at += rng.uniform(30, 90)
    return faults


def end_of(faults: Sequence[Fault]) -> float:
    """When the last one is over."""
    return max((fault.at + fault.seconds for fault in faults), default=0.0)
