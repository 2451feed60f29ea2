"""Chores: what somebody has to do every so often, in small batches between the ticks' real work."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from worker.cadence import Cadence
from worker.complaints import Complaints
from worker.database_trouble import is_database_trouble

logger = logging.getLogger(__name__)

# Between batches while a chore still finds rows.
NEXT_BATCH_SECONDS = 0.2


class Work(Protocol):
    """One small batch."""

    def __call__(self, *, now: datetime) -> int:
        """Do the batch; how many rows it touched."""


@dataclass(frozen=True, slots=True)
class Chore:
    """A named piece of upkeep."""

    name: str
    work: Work


class Housekeeping:
    """Does at most one chore per tick, so that no tick is delayed by all of them."""

    def __init__(self, chores: Sequence[Chore], *, seconds: float, monotonic: Callable[[], float]) -> None:
        self._round = [(chore, Cadence(seconds, monotonic=monotonic)) for chore in chores]
        self._complaints = Complaints(logger)

    def seconds_left(self) -> float:
        """Until a chore is due; infinite without chores."""
        return min((cadence.seconds_left() for _, cadence in self._round), default=math.inf)

    def work(self, now: datetime) -> int:
        """Do the chore that has been due for longest, if any. One that fails is logged and doesn't stop the others.

        Raises:
            django.db.Error: the database can't work now.
        """
        if not self._round:
            return 0
        chore, cadence = min(self._round, key=lambda item: item[1].seconds_left())
        if not cadence.due():
            return 0
        cadence.restart()
        try:
            touched = chore.work(now=now)
        except Exception as error:
            if is_database_trouble(error):
                raise
            self._complaints.about(chore.name, error)
            return 0
        self._complaints.settled(chore.name)
        if touched:
            cadence.restart(NEXT_BATCH_SECONDS)
        return touched
