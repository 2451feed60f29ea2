"""Seats: how many calls this process makes at once, and how many of them one target or one host may take."""

from __future__ import annotations

import threading
from collections import Counter
from uuid import UUID

from targets.egress import host_of

# One frozen target must leave room for the others (guarantee G22).
TARGET_SHARE_PERCENT = 80


class Seats:
    """Keeps count; safe to use from any thread. Implements runs.tickets.SeatKeeper."""

    def __init__(self, total: int, *, per_host: int | None = None) -> None:
        """At most `per_host` of them for calls to one host, whichever targets they are of; None is no limit."""
        self.total = total
        self._share = max(1, total * TARGET_SHARE_PERCENT // 100)
        self._per_host = per_host
        self._lock = threading.Lock()
        self._taken: Counter[UUID] = Counter()
        self._limits: dict[UUID, int] = {}
        self._by_host: Counter[str] = Counter()
        # The hosts of each target's calls, and the targets that wait for room at their host.
        self._hosts: dict[UUID, list[str]] = {}
        self._waiting: dict[UUID, str] = {}

    def free(self) -> int:
        """Seats not taken."""
        with self._lock:
            return self.total - self._taken.total()

    def full_targets(self) -> frozenset[UUID]:
        """Targets that have reached their share of this process's seats, or whose host has."""
        with self._lock:
            full = {target for target, taken in self._taken.items() if taken >= self._limits[target]}
            return frozenset(full.union(self._waiting))

    def take(self, target_id: UUID, max_concurrency: int | None, url: str = "") -> bool:
        """Take a seat for a call to the target; False where its share or its host's is used up or no seat is free."""
        limit = self._share if max_concurrency is None else min(self._share, max_concurrency)
        with self._lock:
            if self._taken.total() >= self.total or self._taken[target_id] >= limit:
                # Counter's look-up doesn't insert: a refused newcomer leaves no trace.
                return False
            if self._per_host is not None and not self._take_at_host(target_id, host_of(url), self._per_host):
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
            if self._per_host is not None:
                self._leave_host(target_id)

    def _take_at_host(self, target_id: UUID, host: str, most: int) -> bool:
        if self._by_host[host] >= most:
            self._waiting[target_id] = host
            return False
        self._by_host[host] += 1
        self._hosts.setdefault(target_id, []).append(host)
        return True

    def _leave_host(self, target_id: UUID) -> None:
        host = self._hosts[target_id].pop()
        if not self._hosts[target_id]:
            del self._hosts[target_id]
        self._by_host[host] -= 1
        if not self._by_host[host]:
            del self._by_host[host]
        self._waiting = {target: wanted for target, wanted in self._waiting.items() if wanted != host}
