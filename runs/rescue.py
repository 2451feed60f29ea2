"""Rescue: resolve Runs whose worker died while it held them.

Delivery is at-least-once where `on_worker_lost` resolves to retry and at-most-once where it resolves to fail: the
worker may have died before the request left, or after the target acted on it; nobody can know which.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db import transaction

from runs.batch_update import update_rows
from runs.lifecycle import RunChange, apply_changes, ended, fenced_off
from runs.models import Attempt, Run, RunStatus
from runs.outcome import ErrorType
from runs.record import failed_step
from schedules.models import OnWorkerLost

# RFC 9110, section 9.2.2: safe methods, PUT and DELETE.
IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
LOST = "The worker that made this call died before it could record an answer."


def rescue_orphans(dead_workers: Collection[UUID], *, now: datetime, limit: int = 100) -> int:
    """Close the open attempts of dead workers' Runs and retry or fail each Run by its `on_worker_lost`.

    The caller makes sure that the workers are dead (their row is missing, or locked with its lease run out).

    Returns:
        How many Runs were resolved; fewer than `limit` means that none is left.
    """
    with transaction.atomic():
        runs = list(Run.with_deleted.lock_held_by(dead_workers, limit).with_owners())
        attempts = Attempt.objects.filter(run_id__in=[run.id for run in runs], completed_at__isnull=True)
        open_attempts = {attempt.run_id: attempt for attempt in attempts.only("id", "run_id", "request_method")}
        changes = []
        closed = []
        for run in runs:
            attempt = open_attempts.get(run.id)
            change, sentence = _resolve(run, attempt.request_method if attempt else run.target.method, now=now)
            changes.append(fenced_off(change))
            if attempt:
                closed.append((attempt.id, now, ErrorType.WORKER_LOST.value, f"{LOST} {sentence}"))
        update_rows(
            Attempt,
            match=("id",),
            write=("completed_at", "error_type", "error_message"),
            rows=closed,
            condition="t.completed_at IS NULL",
        )
        apply_changes(changes, now=now)
        return len(runs)


def may_resend(policy: str, method: str) -> bool:
    """Whether a Run may be sent again although its bytes may have left already."""
    if policy == OnWorkerLost.AUTO:
        return method in IDEMPOTENT_METHODS
    return policy == OnWorkerLost.RETRY


def _resolve(run: Run, method: str, *, now: datetime) -> tuple[RunChange, str]:
    policy = run.schedule.on_worker_lost if run.schedule else OnWorkerLost.FAIL
    if may_resend(policy, method):
        change = failed_step(run, error_type=ErrorType.WORKER_LOST, message=LOST, at=now)
        if not change.is_final:
            return change, f"It is sent again, because {_reason(run, method)}."
        return change, "No retries are left."
    sentence = f"It is not sent again, because {_reason(run, method)}."
    return (
        ended(run, RunStatus.FAILED, at=now, error_type=ErrorType.WORKER_LOST, message=f"{LOST} {sentence}"),
        sentence,
    )


def _reason(run: Run, method: str) -> str:
    if run.schedule is None:
        return "it was a single call without a schedule"
    if run.schedule.on_worker_lost != OnWorkerLost.AUTO:
        return f"on_worker_lost is {run.schedule.on_worker_lost}"
    kind = "idempotent" if method in IDEMPOTENT_METHODS else "not idempotent"
    return f"on_worker_lost is auto and {method} is {kind}"
