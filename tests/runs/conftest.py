"""Fakes and shorthands for the tests of runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from runs.claim import claim_ready
from runs.outcome import ErrorType, Outcome
from runs.record import record_results
from runs.tickets import Result, Ticket
from tests.factories import NOW

WORKER = uuid4()


@dataclass
class FakeSeats:
    """A seat keeper with plain numbers."""

    seats: int = 100
    full: set[UUID] = field(default_factory=set)
    share: int = 100
    taken: Counter[UUID] = field(default_factory=Counter)
    urls: list[str] = field(default_factory=list)

    def free(self) -> int:
        return self.seats - self.taken.total()

    def full_targets(self) -> Collection[UUID]:
        return self.full

    def take(self, target_id: UUID, max_concurrency: int | None, url: str = "") -> bool:
        self.urls.append(url)
        if self.free() <= 0 or self.taken[target_id] >= min(self.share, max_concurrency or self.share):
            return False
        self.taken[target_id] += 1
        return True

    def give_back(self, target_id: UUID) -> None:
        self.taken[target_id] -= 1


@pytest.fixture
def seats() -> FakeSeats:
    """A hundred free seats."""
    return FakeSeats()


def claim(now: datetime = NOW, seats: FakeSeats | None = None, worker_id: UUID = WORKER) -> list[Ticket]:
    """Claim what is due at `now`."""
    return claim_ready(now=now, worker_id=worker_id, seats=seats or FakeSeats())


def claim_one(now: datetime = NOW) -> Ticket:
    """Claim the one Run that is due at `now`."""
    (ticket,) = claim(now)
    return ticket


SUCCESS = Outcome(ErrorType.NONE, latency_ms=20, status_code=200, response_body="ok", response_size_bytes=2)
UNAVAILABLE = Outcome(ErrorType.SERVER_ERROR, "The target answered 503.", latency_ms=10, status_code=503)
NOT_FOUND = Outcome(ErrorType.CLIENT_ERROR, "The target answered 404.", latency_ms=10, status_code=404)
TIMED_OUT = Outcome(ErrorType.TIMEOUT, "No answer within 5 s.", latency_ms=5000)


def result_of(ticket: Ticket, outcome: Outcome = SUCCESS, started_at: datetime = NOW) -> Result:
    """What the pool hands over when the call has taken `outcome.latency_ms`."""
    ended_at = started_at + timedelta(milliseconds=outcome.latency_ms)
    return Result(ticket=ticket, outcome=outcome, started_at=started_at, completed_at=ended_at)


def record(ticket: Ticket, outcome: Outcome = SUCCESS, started_at: datetime = NOW) -> int:
    """Record one outcome."""
    result = result_of(ticket, outcome, started_at)
    return record_results([result], now=result.completed_at)
