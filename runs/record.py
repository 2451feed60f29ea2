"""Record: close Attempts and move their Runs on. A late writer loses: every write is fenced by the token."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime

from django.db import transaction

from runs.batch_update import update_rows, write_or_isolate
from runs.lifecycle import RunChange, apply_changes, ended, retrying
from runs.locked_run import LivingRun, LockedRun, lock_running_runs
from runs.models import Attempt, RunStatus, Trigger
from runs.outcome import ErrorType, Timings
from runs.retry import NO_RETRIES, RetryAt, RetryPolicy, decide
from runs.tickets import Result, Ticket

logger = logging.getLogger(__name__)

RESPONSE_COLUMNS = (
    "started_at",
    "latency_ms",
    "status_code",
    "response_headers",
    "response_body",
    "response_truncated",
    "response_size_bytes",
    "timings",
    "remote_ip",
)
CLOSED_COLUMNS = ("completed_at", "error_type", "error_message", *RESPONSE_COLUMNS)
LATE_COLUMNS = ("fenced", *RESPONSE_COLUMNS)
_TIMINGS = tuple(field.name for field in fields(Timings))


def record_results(results: Sequence[Result], *, now: datetime) -> int:
    """Write finished attempts, in one transaction.

    A result whose ticket is no longer valid (its worker was given up, the Run moved on) is kept on its attempt as
    `fenced` and changes nothing else. A result that the database refuses is recorded without its response.

    Returns:
        How many results moved their Run on.
    """
    moved = 0

    def write(batch: Sequence[Result]) -> None:
        nonlocal moved
        moved += _write(batch, now=now)

    for result, error in write_or_isolate(results, write):
        logger.error(
            "response can't be stored: %s",
            type(error).__name__,
            extra={"action": "record", "run": result.ticket.run_id},
        )
        with transaction.atomic():
            moved += _write([_without_response(result)], now=now)
    return moved


def _write(results: Sequence[Result], *, now: datetime) -> int:
    tickets = [result.ticket for result in results]
    runs = {run.id: run for run in lock_running_runs([ticket.run_id for ticket in tickets])}
    ours = [result for result in results if holds(runs.get(result.ticket.run_id), result.ticket)]
    held = {result.ticket.attempt_id for result in ours}
    late = [result for result in results if result.ticket.attempt_id not in held]
    close = [(result.ticket.attempt_id, *_closed(result)) for result in ours]
    update_rows(Attempt, match=("id",), write=CLOSED_COLUMNS, rows=close, condition="t.completed_at IS NULL")
    kept = [(result.ticket.attempt_id, True, *_response(result)) for result in late]
    # Only a rescue leaves a ticket without its Run. A result that comes again, because the answer to its first COMMIT
    # was lost, finds its attempt closed by itself: nothing is late about that.
    fenced = update_rows(
        Attempt, match=("id",), write=LATE_COLUMNS, rows=kept, condition=f"t.error_type = '{ErrorType.WORKER_LOST}'"
    )
    changes = [next_step(runs[result.ticket.run_id], result) for result in ours]
    lateness = [
        _lateness(result) for result in ours if _is_first_of_schedule(runs[result.ticket.run_id], result.ticket)
    ]
    apply_changes(changes, now=now, lateness_seconds=lateness)
    for result in late:
        if result.ticket.attempt_id not in fenced:
            continue
        logger.warning("late result fenced", extra={"action": "fence", "run": result.ticket.run_id})
    return len(changes)


def holds(run: LivingRun | None, ticket: Ticket) -> bool:
    """Whether the ticket is still the one that the Run was claimed with."""
    return run is not None and run.status == RunStatus.RUNNING and run.token == ticket.token


def retry_policy(run: LivingRun) -> RetryPolicy:
    """The policy of the Run's schedule as it is now; a call without a schedule is made once."""
    terms = run.retry_terms
    return NO_RETRIES if terms is None or run.is_deleted else RetryPolicy(*terms)


def next_step(run: LivingRun, result: Result) -> RunChange:
    """What the attempt's outcome makes of its Run."""
    outcome = result.outcome
    if outcome.error_type is ErrorType.NONE:
        return ended(
            run,
            RunStatus.SUCCESS,
            at=result.completed_at,
            status_code=outcome.status_code,
            latency_ms=outcome.latency_ms,
        )
    return failed_step(
        run,
        error_type=outcome.error_type,
        message=outcome.error_message,
        at=result.completed_at,
        status_code=outcome.status_code,
        # Stored in the spelling of the target, which may be any (RFC 9110, section 5.1).
        retry_after=next(
            (text for name, text in outcome.response_headers.items() if name.lower() == "retry-after"), None
        ),
        latency_ms=outcome.latency_ms,
    )


def failed_step(
    run: LivingRun,
    *,
    error_type: ErrorType,
    message: str,
    at: datetime,
    status_code: int | None = None,
    retry_after: str | None = None,
    latency_ms: float | None = None,
) -> RunChange:
    """A further try, or the end, after an attempt failed at `at`."""
    decision = decide(
        retry_policy(run),
        attempts_made=run.attempt_count,
        error_type=error_type,
        status_code=status_code,
        retry_after=retry_after,
        ended_at=at,
        jitter=random.random(),  # noqa: S311 - spreads load, guards nothing
    )
    if isinstance(decision, RetryAt):
        return retrying(run, at=decision.moment)
    return ended(
        run,
        RunStatus.TIMEOUT if error_type is ErrorType.TIMEOUT else RunStatus.FAILED,
        at=at,
        status_code=status_code,
        error_type=error_type,
        message=f"{message} {decision.sentence}".strip()[:1000],
        latency_ms=latency_ms,
    )


def _response(result: Result) -> tuple[object, ...]:
    outcome = result.outcome
    return (
        result.started_at,
        outcome.latency_ms,
        outcome.status_code,
        dict(outcome.response_headers),
        outcome.response_body,
        outcome.response_truncated,
        outcome.response_size_bytes,
        {name: getattr(outcome.timings, name) for name in _TIMINGS},
        outcome.remote_ip,
    )


def _closed(result: Result) -> tuple[object, ...]:
    outcome = result.outcome
    return (result.completed_at, outcome.error_type.value, outcome.error_message[:1000], *_response(result))


def _is_first_of_schedule(run: LockedRun, ticket: Ticket) -> bool:
    return run.trigger == Trigger.SCHEDULE and ticket.attempt_number == 1 and not run.is_deleted


def _lateness(result: Result) -> float:
    return max(0.0, (result.started_at - result.ticket.due_at).total_seconds())


def _without_response(result: Result) -> Result:
    outcome = replace(
        result.outcome,
        response_headers={},
        response_body="",
        response_truncated=True,
        remote_ip=None,
    )
    return replace(result, outcome=outcome)
