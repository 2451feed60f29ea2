"""What became of a Run, in one sentence for people."""

from __future__ import annotations

from datetime import datetime, tzinfo

from runs.models import Run, RunStatus
from runs.outcome import ErrorType
from targets.counted import counted

SKIPPED = {
    "overlap": "earlier runs of this schedule had not ended (overlap_policy)",
    "misfire": "no worker came to it in time (misfire_grace_seconds; two polls with catch_up none)",
    "coalesced": "a later due time ran in its place (catch_up latest)",
}


def shown(moment: datetime, zone: tzinfo) -> str:
    """A moment as the sentences write it: local, to the second, with its offset."""
    return moment.astimezone(zone).isoformat(sep=" ", timespec="seconds")


def run_sentence(run: Run, *, zone: tzinfo, now: datetime) -> str:
    """Why the Run ran, waits, was skipped or was cancelled, and how it went.

    Args:
        run: the Run, as it is in the database.
        zone: where the reader's wall clock hangs.
        now: the present moment, on the database's clock.
    """
    status = RunStatus(run.status)
    if status == RunStatus.SKIPPED:
        return _skipped(run)
    if status == RunStatus.CANCELLED:
        return f"It was cancelled at {_ended(run, zone)} after {_attempts(run)}."
    if status in (RunStatus.PENDING, RunStatus.RETRYING):
        return _waiting(run, zone, now)
    if status == RunStatus.RUNNING:
        return f"It is running now: attempt {run.attempt_count}, first started at {_started(run, zone)}."
    if status == RunStatus.SUCCESS:
        code = f" with status {run.final_status_code}" if run.final_status_code else ""
        return f"It ran at {_started(run, zone)} and succeeded{code} after {_attempts(run)}."
    return f"It ran at {_started(run, zone)} and failed after {_attempts(run)}: {_error(run)}"


def _skipped(run: Run) -> str:
    why = SKIPPED.get(run.reason, run.reason or "no reason is on record")
    many = f" It is one of {run.missed_ticks} due times in a row." if run.missed_ticks > 1 else ""
    return f"It was skipped: {why}.{many}"


def _waiting(run: Run, zone: tzinfo, now: datetime) -> str:
    again = f" after {_attempts(run)}" if run.attempt_count else ""
    if run.next_attempt_at and run.next_attempt_at > now:
        return f"It waits until {shown(run.next_attempt_at, zone)}{again}."
    if run.queued:
        return "It waits for the earlier run of this schedule to end (overlap_policy queue)."
    return f"It is due and waits for a free worker{again}."


def _attempts(run: Run) -> str:
    return counted(run.attempt_count, "attempt")


def _started(run: Run, zone: tzinfo) -> str:
    return shown(run.started_at or run.scheduled_at, zone)


def _ended(run: Run, zone: tzinfo) -> str:
    return shown(run.completed_at or run.scheduled_at, zone)


def _error(run: Run) -> str:
    if run.final_error_message:
        return run.final_error_message
    return "no error is on record." if run.final_error_type == ErrorType.NONE else f"{run.final_error_type}."
