"""Finished calls on their way into the database: kept until they are written, whatever happens in between."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from runs.handback import hand_back
from runs.record import record_results
from runs.tickets import Result
from targets.counted import counted
from worker.database_trouble import is_database_trouble
from worker.pool import Finished
from worker.worker_clock import WorkerClock

logger = logging.getLogger(__name__)

# One transaction's worth: response bodies are up to 100 KB each.
BATCH = 200


class Recorder:
    """Holds finished calls and writes them in batches. Belongs to the loop's thread."""

    def __init__(self, clock: WorkerClock) -> None:
        self._clock = clock
        self._held: list[Finished] = []

    def __len__(self) -> int:
        return len(self._held)

    def held(self) -> frozenset[UUID]:
        """Attempt ids of the calls not written yet."""
        return frozenset(finished.ticket.attempt_id for finished in self._held)

    def keep(self, finished: Iterable[Finished]) -> None:
        """Take finished calls in."""
        self._held.extend(finished)

    def oldest_completed(self) -> float | None:
        """When the call that has waited longest was completed, on the monotonic clock."""
        return min((finished.completed for finished in self._held), default=None)

    def write(self, now: datetime) -> int:
        """Record everything held, and hand back what was never sent.

        Returns:
            How many calls were dealt with.

        Raises:
            django.db.Error: the database can't work now; what is not written stays held.
        """
        written = 0
        while self._held:
            batch = self._held[:BATCH]
            self._write(batch, now)
            del self._held[: len(batch)]
            written += len(batch)
        return written

    def _write(self, batch: Sequence[Finished], now: datetime) -> None:
        try:
            self._write_together(batch, now)
        except Exception as error:
            if is_database_trouble(error):
                raise
            if len(batch) == 1:
                logger.exception(
                    "a result can't be recorded; its run is left to rescue when this worker ends",
                    extra={"action": "result_refused", "run": batch[0].ticket.run_id},
                )
                return
            # One of them is refused: alone, it doesn't stop the others.
            for finished in batch:
                self._write([finished], now)

    def _write_together(self, batch: Sequence[Finished], now: datetime) -> None:
        withheld = [finished.ticket for finished in batch if finished.outcome.withheld]
        results = [self._result(finished) for finished in batch if not finished.outcome.withheld]
        if withheld:
            count = hand_back(withheld, now=now)
            logger.info("%s handed back unsent", counted(count, "call"), extra={"action": "handed_back", "runs": count})
        if results:
            record_results(results, now=now)
        _log(results)

    def _result(self, finished: Finished) -> Result:
        started, completed = self._clock.at(finished.started), self._clock.at(finished.completed)
        return Result(finished.ticket, finished.outcome, started_at=started, completed_at=completed)


def _log(results: Sequence[Result]) -> None:
    """A line for each attempt; one record for all of them."""
    if results and logger.isEnabledFor(logging.INFO):
        events = [_event(result) for result in results]
        logger.info("%s ended", counted(len(events), "attempt"), extra={"action": "attempt_ended", "each": events})


def _event(result: Result) -> tuple[str, dict[str, object]]:
    ticket, outcome = result.ticket, result.outcome
    how = "success" if outcome.error_type == "none" else outcome.error_type.value
    return f"attempt {ticket.attempt_number} ended: {how}", {
        "run": ticket.run_id,
        "attempt": ticket.attempt_id,
        "schedule": ticket.schedule_id,
        "status_code": outcome.status_code,
        "latency_ms": round(outcome.latency_ms),
    }
