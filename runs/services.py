"""What people and programs do to runs: run now, replay, cancel, resolve, test."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from runs.claim import claim_test_run
from runs.errors import WrongState
from runs.identity import new_run_id
from runs.lifecycle import apply_changes, ended
from runs.models import DEAD_STATUSES, FINAL_STATUSES, Run, RunStatus, Trigger
from runs.tickets import Ticket
from schedules.models import Schedule
from targets.models import Target


def _new_run(*, target_id: UUID, schedule_id: UUID | None, trigger: Trigger, now: datetime) -> Run:
    return Run(
        id=new_run_id(now),
        schedule_id=schedule_id,
        target_id=target_id,
        trigger=trigger,
        status=RunStatus.PENDING,
        scheduled_at=now,
        next_attempt_at=now,
        created_at=now,
    )


def run_now(*, schedule_id: UUID, now: datetime) -> Run:
    """Create a manual Run, in any status of the schedule, ignoring overlap and max_runs.

    Raises:
        Schedule.DoesNotExist: no such schedule, or it is deleted.
    """
    with transaction.atomic():
        # Locked, so that it can't be purged meanwhile.
        schedule = Schedule.objects.select_for_update(no_key=True, of=("self",)).get(id=schedule_id)
        run = _new_run(target_id=schedule.target_id, schedule_id=schedule.id, trigger=Trigger.MANUAL, now=now)
        run.save(force_insert=True)
    return run


def replay_run(*, run_id: UUID, now: datetime) -> Run:
    """Create a new Run that repeats an ended one with the target as it is now.

    Raises:
        Run.DoesNotExist: no such run, or it is deleted.
        WrongState: the run has not ended yet.
    """
    with transaction.atomic():
        # Locked, so that neither it nor its target can be purged meanwhile.
        original = Run.objects.filter(id=run_id).locked(skip_locked=False).get()
        if original.status not in FINAL_STATUSES:
            raise WrongState(f"The run is {original.status}: only a run that has ended can be replayed.")
        run = _new_run(target_id=original.target_id, schedule_id=original.schedule_id, trigger=Trigger.REPLAY, now=now)
        run.replay_of = original.id
        run.save(force_insert=True)
    return run


def cancel_run(*, run_id: UUID, now: datetime) -> Run:
    """Cancel a Run that waits for its first or next attempt.

    Raises:
        Run.DoesNotExist: no such run, or it is deleted.
        WrongState: the run is being executed, or has ended.
    """
    with transaction.atomic():
        run = Run.objects.filter(id=run_id).locked(skip_locked=False).get()
        if run.status not in (RunStatus.PENDING, RunStatus.RETRYING):
            raise WrongState(f"The run is {run.status}: only a pending or retrying run can be cancelled.")
        apply_changes([ended(run, RunStatus.CANCELLED, at=now, reason="cancelled")], now=now)
    return Run.objects.get(id=run_id)


def resolve_run(*, run_id: UUID, note: str, now: datetime) -> Run:
    """Mark a finally failed Run as dealt with, so that `dead=true` no longer lists it.

    Raises:
        Run.DoesNotExist: no such run, or it is deleted.
        WrongState: the run has not failed, or is resolved already.
    """
    with transaction.atomic():
        run = Run.objects.filter(id=run_id).locked(skip_locked=False).get()
        if run.status not in DEAD_STATUSES:
            raise WrongState(f"The run is {run.status}: only a failed or timed out run can be resolved.")
        if run.resolved_at is not None:
            raise WrongState("The run is resolved already.")
        run.resolved_at = now
        run.resolved_note = note
        run.save(update_fields=["resolved_at", "resolved_note"])
    return run


def open_test_run(*, target_id: UUID, worker_id: UUID, now: datetime) -> Ticket:
    """Create a Run for one call to a target, already claimed by `worker_id`, with its open attempt.

    Raises:
        Target.DoesNotExist: no such target, or it is deleted.
    """
    with transaction.atomic():
        # Locked, so that it can't be purged meanwhile.
        target = Target.objects.filter(id=target_id).select_for_update(no_key=True).get()
        run = _new_run(target_id=target.id, schedule_id=None, trigger=Trigger.TEST, now=now)
        run.save(force_insert=True)
        return claim_test_run(run, worker_id=worker_id, now=now)
