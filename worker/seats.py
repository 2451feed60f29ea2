"""Seats: how many calls this process makes at once, and how many of them one target may take."""

from __future__ import annotations

import threading
from collections import Counter
from uuid import UUID

# One frozen target must leave room for the others (guarantee G22).
TARGET_SHARE_PERCENT = 80


class Seats:
    """Keeps count; safe to use from any thread. Implements runs.tickets.SeatKeeper."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._share = max(1, total * TARGET_SHARE_PERCENT // 100)
        self._lock = threading.Lock()
        self._taken: Counter[UUID] = Counter()
        self._limits: dict[UUID, int] = {}

    def free(self) -> int:
        """Seats not taken."""
        with self._lock:
            return self.total - self._taken.total()

    def full_targets(self) -> frozenset[UUID]:
        """Targets that have reached their share of this process's seats."""
        with self._lock:
            return frozenset(target for target, taken in self._taken.items() if taken >= self._limits[target])

    def take(self, target_id: UUID, max_concurrency: int | None) -> bool:
        """Take a seat for a call to the target; False where its share is used up or no seat is free."""
        limit = self._share if max_concurrency is None else min(self._share, max_concurrency)
        with self._lock:
            if self._taken.total() >= self.total or self._taken[target_id] >= limit:
                # Counter's look-up doesn't insert: a refused newcomer leaves no trace.
                return False
            self._taken[target_id] += 1
            self._limits[target_id] = limit
            return True

    def give_back(self, target_id: UUID) -> None:
        """Free a seat that `take` gave."""
        with self._lock:
            self._taken[target_id] -= 1
            if self._taken[target_id] <= 0:
                del self._taken[target_id], self._limits[target_id]
