"""The threads that make the calls. They touch no database: tickets in, finished calls out."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from uuid import UUID

from runs.outcome import ErrorType, Outcome
from runs.tickets import Ticket
from targets.request_draft import Sendable
from worker.seats import Seats

logger = logging.getLogger(__name__)

# Hand the ticket back: its request never left.
NOT_SENT = Outcome(ErrorType.NONE, withheld=True)


class Caller(Protocol):
    """What the pool needs of the executor."""

    def execute(self, request: Sendable, *, may_send: Callable[[], bool]) -> Outcome:
        """Make the call; raises nothing."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A ticket's outcome. The moments are on this process's monotonic clock, in seconds."""

    ticket: Ticket
    outcome: Outcome
    started: float
    completed: float


class Pool:
    """One thread per seat. All methods but `wake` belong to the loop's thread.

    The threads are daemons: a call that outlives the drain time must not keep the process from ending.
    """

    def __init__(
        self,
        *,
        executor: Caller,
        seats: Seats,
        may_send: Callable[[UUID], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`may_send` is asked, right before each send, about the id that the ticket was claimed under."""
        self._executor = executor
        self._seats = seats
        self._may_send = may_send
        self._monotonic = monotonic
        self._in_flight: dict[UUID, Ticket] = {}
        self._queue: queue.SimpleQueue[Ticket | None] = queue.SimpleQueue()
        # SimpleQueue.put is reentrant, so a signal handler may use it; None is a wake-up without a result.
        self._finished: queue.SimpleQueue[Finished | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name=f"seat-{i}", daemon=True) for i in range(seats.total)]
        for thread in self._threads:
            thread.start()

    def in_flight(self) -> frozenset[UUID]:
        """Attempt ids of every ticket submitted and not collected."""
        return frozenset(self._in_flight)

    def submit(self, ticket: Ticket) -> None:
        """Make the ticket's call, or pass on the outcome that it already has. Its seat is taken."""
        self._in_flight[ticket.attempt_id] = ticket
        if isinstance(ticket.request, Outcome):
            self._finish(ticket, ticket.request, self._monotonic())
        else:
            self._queue.put(ticket)

    def collect(self, timeout: float) -> list[Finished]:
        """Every finished call, after waiting up to `timeout` seconds for the first. A wake-up ends the wait."""
        collected: list[Finished] = []
        try:
            item = self._finished.get(timeout=timeout) if timeout > 0 else self._finished.get_nowait()
            while True:
                if item is not None:
                    del self._in_flight[item.ticket.attempt_id]
                    collected.append(item)
                item = self._finished.get_nowait()
        except queue.Empty:
            return collected

    def wake(self) -> None:
        """End a wait in `collect` at once."""
        self._finished.put(None)

    def withdraw(self) -> list[Finished]:
        """Take back the tickets that no thread has begun, as calls withheld, and free their seats."""
        withdrawn: list[Finished] = []
        try:
            while (ticket := self._queue.get_nowait()) is not None:
                del self._in_flight[ticket.attempt_id]
                self._seats.give_back(ticket.target_id)
                moment = self._monotonic()
                withdrawn.append(Finished(ticket, NOT_SENT, moment, moment))
        except queue.Empty:
            pass
        return withdrawn

    def close(self) -> None:
        """Let idle threads end."""
        for _ in self._threads:
            self._queue.put(None)

    def _work(self) -> None:
        while (ticket := self._queue.get()) is not None:
            started = self._monotonic()
            self._finish(ticket, self._call(ticket), started)

    def _call(self, ticket: Ticket) -> Outcome:
        assert not isinstance(ticket.request, Outcome)  # noqa: S101 - submit sent the others elsewhere
        try:
            return self._executor.execute(ticket.request, may_send=partial(self._may_send, ticket.worker_id))
        except Exception:
            # A thread that died here would cost a seat for ever, and its Run would stay running.
            logger.exception("executor raised", extra={"action": "executor_raised", "run": ticket.run_id})
            return Outcome(ErrorType.UNKNOWN, "The worker failed while making this call; its log says why.")

    def _finish(self, ticket: Ticket, outcome: Outcome, started: float) -> None:
        # The seat first: whoever is woken by the result finds it free.
        self._seats.give_back(ticket.target_id)
        self._finished.put(Finished(ticket, outcome, started, self._monotonic()))
