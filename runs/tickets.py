"""What passes between claim, execute and record."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from runs.outcome import Outcome
from targets.request_draft import Sendable


@dataclass(frozen=True, slots=True)
class Ticket:
    """A claimed Run with its open Attempt. Whoever holds it may send `request` once.

    `request` is an Outcome where the request could not even be built (error_type `template`): record it, send nothing.
    """

    run_id: UUID
    attempt_id: UUID
    attempt_number: int
    token: int
    # The id that it was claimed under; only while that worker's lease is certain may it be sent.
    worker_id: UUID
    target_id: UUID
    schedule_id: UUID | None
    # The moment at which this attempt was due, for lateness.
    due_at: datetime
    request: Sendable | Outcome


@dataclass(frozen=True, slots=True)
class Result:
    """A ticket's outcome. The moments are on the database's clock."""

    ticket: Ticket
    outcome: Outcome
    started_at: datetime
    completed_at: datetime


class SeatKeeper(Protocol):
    """Who may claim how much: implemented by the worker's pool, one per process."""

    def free(self) -> int:
        """Seats not taken."""

    def full_targets(self) -> Collection[UUID]:
        """Targets that have reached their share of this process's seats."""

    def take(self, target_id: UUID, max_concurrency: int | None, url: str = "") -> bool:
        """Take a seat for a call to the target; False where its share or its host's is used up or no seat is free."""

    def give_back(self, target_id: UUID) -> None:
        """Free a seat that `take` gave."""
