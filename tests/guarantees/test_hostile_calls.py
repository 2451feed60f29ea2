"""Guarantee G13: whatever targets do, calls end in time, and seats, threads and descriptors come back.

`HOSTILE_CALLS=1000 pytest -s tests/guarantees/test_hostile_calls.py` makes more calls than the gate has time for, and
prints what they took.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID, uuid5

import pytest

from runs.models import Attempt, Run
from runs.outcome import ErrorType
from tests.acceptance.conftest import Workers, call, wait_until
from tests.fair_clock import FairClock
from tests.guarantees.hostile_target import hostile_urls
from tests.http_target import RecordingTarget
from tests.worker.calls import LOOPBACK, spec
from tests.worker.workers import make_ticket
from worker.executor import Executor
from worker.pool import Finished, Pool
from worker.resolver import AddressInfo
from worker.seats import Seats

CALLS = int(os.environ.get("HOSTILE_CALLS", "160"))
SEATS = 40
TIMEOUT_SECONDS = 0.4
NAMESPACE = UUID(int=0)
# What G13 allows on top of the time-out.
ALLOWED_SECONDS = 1


class StuckLookup:
    """A name server that answers nobody until the test is over."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def __call__(self, host: str, port: int) -> Sequence[AddressInfo]:
        self.over.wait()
        return []


class Caller:
    """A pool with an executor, driven as the worker's loop does it; `clock` measures the calls."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.lookup = StuckLookup()
        self.executor = Executor(LOOPBACK, SEATS, lookup=self.lookup)
        self.seats = Seats(SEATS)
        self.pool = Pool(executor=self.executor, seats=self.seats, may_send=lambda _: True, monotonic=clock)

    def call(self, urls: Sequence[str], count: int) -> list[Finished]:
        """Make `count` calls, the URLs in turn, as many at once as there are seats."""
        waiting = [urls[number % len(urls)] for number in range(count)]
        finished: list[Finished] = []
        while waiting or self.pool.in_flight():
            while waiting and self.seats.take(target := uuid5(NAMESPACE, waiting[-1]), None):
                request = spec(waiting.pop(), timeout_seconds=TIMEOUT_SECONDS)
                self.pool.submit(make_ticket(request=request, target_id=target))
            collected = self.pool.collect(timeout=30)
            assert collected, "no call ended, and no seat came back, within 30 s"
            finished += collected
        return finished

    def close(self) -> None:
        self.pool.close()
        self.lookup.over.set()
        self.executor.close()


def descriptors() -> int:
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def eventually(holds: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether it comes true in time."""
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


def test_g13_hostile_calls_end_in_time_and_give_everything_back() -> None:
    threads, files = threading.active_count(), descriptors()
    with FairClock() as clock, hostile_urls() as urls:
        urls += ["http://stuck.example/", "http://also-stuck.example/"]
        caller = Caller(clock)
        began = time.monotonic()
        finished = caller.call(urls, CALLS)
        took = time.monotonic() - began
        assert (caller.seats.free(), caller.seats.full_targets(), len(finished)) == (SEATS, frozenset(), CALLS)
        caller.close()

    slowest = max(finished, key=lambda each: each.completed - each.started)
    request = slowest.ticket.request
    longest = slowest.completed - slowest.started
    outcomes = Counter(each.outcome.error_type for each in finished)
    # Without the deadline most of these would never end.
    assert longest <= TIMEOUT_SECONDS + ALLOWED_SECONDS, request
    assert outcomes.keys() <= {ErrorType.TIMEOUT, ErrorType.BAD_RESPONSE, ErrorType.CONNECTION, ErrorType.NONE}
    assert outcomes[ErrorType.TIMEOUT] >= CALLS / 2
    assert eventually(lambda: threading.active_count() <= threads), threading.enumerate()
    assert eventually(lambda: descriptors() <= files)
    waits = sorted(each.completed - each.started for each in finished)
    sys.stdout.write(
        f"{CALLS} calls in {took:.1f} s, longest {longest:.2f} s, p99 {waits[CALLS * 99 // 100]:.2f} s, {outcomes}\n"
    )


@pytest.mark.django_db(transaction=True)
def test_g13_hostile_calls_of_a_worker_are_recorded_in_time(workers: Workers, target: RecordingTarget) -> None:
    limit, healthy = 1, target.url("/slow?seconds=1")
    with hostile_urls() as urls:
        for url in urls * 2:
            call(url, target_fields={"timeout_seconds": limit}, max_retries=0)
            # Among them, calls that end on their own at the same age: how late they are is the machine's doing.
            call(healthy, target_fields={"timeout_seconds": 60}, max_retries=0)
        workers.start("--concurrency=10")
        wait_until(lambda: not Run.objects.all().active().exists(), "all calls end")

    over: dict[str, list[float]] = defaultdict(list)
    for url, began, end in Attempt.objects.values_list("request_url", "started_at", "completed_at"):
        assert end is not None
        over[url].append((end - began).total_seconds() - limit)
    assert over.keys() == {*urls, healthy}
    allowed = ALLOWED_SECONDS + max(over.pop(healthy))
    assert {url: each for url, each in over.items() if max(each) > allowed} == {}
