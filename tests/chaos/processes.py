"""What is judged besides rows: how the worker processes ended, what they took, what they logged."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from datetime import datetime
from statistics import median

from tests.chaos.fleet import Incarnation, Sample
from tests.chaos.invariants import Verdict

WARM_UP_SECONDS = 20.0
QUIET_SAMPLES = 3
# The allocator's own ups and downs; a leak of one call in a thousand shows up in the soak.
MEGABYTES_ALLOWED = 25.0
DESCRIPTORS_ALLOWED = 12
THREADS_ALLOWED = 4
# Who was struck in the middle of its work had up to so many connections to targets open: one per seat.
IN_FLIGHT_ALLOWED = 40
AT_THE_END_SECONDS = 10.0
# What a database that goes away looks like to its clients.
DATABASE_TROUBLE = re.compile(r'error="(OperationalError|InterfaceError|AdminShutdown|DatabaseError): ')
_LINE = re.compile(r"^(\d{4}-\S+Z) ([A-Z]+) action=(\S+) ")
_TRACEBACK = "Traceback (most recent call last)"
_SERIOUS = ("ERROR", "CRITICAL")


def no_surprise_in_logs(incarnations: Sequence[Incarnation]) -> Verdict:
    """No traceback, and no error but those of a database that is away."""
    verdict = Verdict("logs have no unexpected error")
    for incarnation in incarnations:
        for line in incarnation.text().splitlines():
            found = _LINE.match(line)
            serious = found is not None and found[2] in _SERIOUS and not DATABASE_TROUBLE.search(line)
            verdict.look(found is not None and not serious, f"{incarnation.log.name}: {line[:600]}")
    return verdict


def everybody_ended_as_told(incarnations: Sequence[Incarnation]) -> Verdict:
    """No worker ended on its own; SIGTERM ended it with 0, unless the database kept it from writing its results.

    A process that has not become a worker yet has nothing to finish: the signal itself may end it.
    """
    verdict = Verdict("workers end only when told to, and well")
    for one in incarnations:
        code = one.process.poll()
        killed = one.struck and code == -signal.SIGKILL
        unborn = code == -signal.SIGTERM and not one.ids()
        right = one.told_to_end and (killed or unborn or code == 0 or (code == 1 and one.left_something()))
        verdict.look(right, f"{one.log.name} ended with {code}")
    return verdict


def clocks_were_wrong(incarnations: Sequence[Incarnation], skews: Sequence[int], started: datetime) -> Verdict:
    """The skew took: each log's own times are off by it."""
    verdict = Verdict("workers' clocks were off as planned")
    for incarnation in incarnations:
        found = _LINE.match(incarnation.text())
        if found is None:
            continue
        off = (datetime.fromisoformat(found[1]) - started).total_seconds()
        # Incarnations start up to minutes after the first: the nearest half hour tells.
        verdict.look(
            abs(off - skews[incarnation.slot]) < 1800 or not skews[incarnation.slot],
            f"{incarnation.log.name} was {off:.0f} s off",
        )
    return verdict


def resources_stay_flat(incarnations: Sequence[Incarnation], *, megabytes: float = MEGABYTES_ALLOWED) -> Verdict:
    """Memory, threads and descriptors of workers that lived on, after the warm-up and at the end, when all is quiet."""
    verdict = Verdict("workers' memory, threads and descriptors stay flat")
    notes = []
    end = max((one.samples[-1].at for one in incarnations if one.samples), default=0.0)
    for one in incarnations:
        if not one.samples:
            continue
        first = one.samples[0].at
        warm = [sample for sample in one.samples if first + WARM_UP_SECONDS <= sample.at < first + 2 * WARM_UP_SECONDS]
        last = one.samples[-QUIET_SAMPLES:]
        if not warm or last[0].at < first + 3 * WARM_UP_SECONDS:
            continue
        before, after = _middle(warm), _middle(last)
        name = one.log.stem
        verdict.look(after.megabytes - before.megabytes <= megabytes, f"{name}: {_change(before, after)}")
        verdict.look(after.threads - before.threads <= THREADS_ALLOWED, f"{name}: {_change(before, after)}")
        idle = after.at >= end - AT_THE_END_SECONDS
        descriptors = DESCRIPTORS_ALLOWED + (0 if idle else IN_FLIGHT_ALLOWED)
        verdict.look(after.descriptors - before.descriptors <= descriptors, f"{name}: {_change(before, after)}")
        notes.append(f"{name}: {_change(before, after)}")
    verdict.note = "; ".join(notes)
    return verdict


def _middle(samples: Sequence[Sample]) -> Sample:
    return Sample(
        samples[-1].at,
        median(sample.megabytes for sample in samples),
        round(median(sample.threads for sample in samples)),
        round(median(sample.descriptors for sample in samples)),
    )


def _change(before: Sample, after: Sample) -> str:
    return (
        f"{before.megabytes:.0f} -> {after.megabytes:.0f} MB, {before.threads} -> {after.threads} threads, "
        f"{before.descriptors} -> {after.descriptors} descriptors"
    )
