"""Maintenance: remove, in small batches, what was deleted. What has only grown old is runs.prune's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from django.db import transaction

from runs.models import Attempt, Run, RunStatus, ScheduleRollup
from schedules.models import Schedule, SchedulePause
from targets.models import Target

Forget = Callable[[UUID], None]


def _nothing(schedule_id: UUID) -> None:
    """What purges forget unless told otherwise."""


def purge_deleted(*, now: datetime, limit: int = 500, forget: Forget = _nothing) -> int:
    """Remove about `limit` Runs of deleted targets and schedules, then those rows themselves once they are empty.

    A Run in flight is left to its worker: it is removed when the call has ended. No transaction is longer than
    `limit` Runs with their attempts, and no call than twice that.

    Args:
        now: only what was deleted before this moment is touched.
        limit: see above.
        forget: called with the id of each schedule, in the transaction that removes its row: for what others keep of
            it without a reference.

    Returns:
        How many rows were removed; 0 means that nothing is left to do.
    """
    removed = 0
    for model, purge in ((Schedule, _purge_schedule), (Target, _purge_target)):
        deleted = model.with_deleted.filter(deleted_at__lte=now).order_by("deleted_at")
        for row_id in deleted.values_list("id", flat=True)[:10]:
            removed += purge(row_id, limit=limit, forget=forget)
            if removed >= limit:
                return removed
    return removed


def _purge_runs(selection: dict[str, UUID], *, limit: int) -> int:
    with transaction.atomic():
        ended_or_waiting = Run.with_deleted.filter(**selection).exclude(status=RunStatus.RUNNING).order_by("id")
        ids = [run.id for run in ended_or_waiting.only("id")[:limit].locked(skip_locked=True)]
        Attempt.objects.filter(run_id__in=ids)._raw_delete("default")
        Run.with_deleted.filter(id__in=ids)._raw_delete("default")
    return len(ids)


def _purge_schedule(schedule_id: UUID, *, limit: int, forget: Forget) -> int:
    removed = _purge_runs({"schedule_id": schedule_id}, limit=limit)
    if removed or Run.with_deleted.filter(schedule_id=schedule_id).exists():
        return removed
    with transaction.atomic():
        ScheduleRollup.objects.filter(schedule_id=schedule_id).delete()
        SchedulePause.objects.filter(schedule_id=schedule_id).delete()
        forget(schedule_id)
        return Schedule.with_deleted.filter(id=schedule_id).delete()[0]


def _purge_target(target_id: UUID, *, limit: int, forget: Forget) -> int:
    for schedule_id in Schedule.with_deleted.filter(target_id=target_id).values_list("id", flat=True)[:10]:
        removed = _purge_schedule(schedule_id, limit=limit, forget=forget)
        if removed:
            return removed
    removed = _purge_runs({"target_id": target_id}, limit=limit)
    if removed or Schedule.with_deleted.filter(target_id=target_id).exists():
        return removed
    if Run.with_deleted.filter(target_id=target_id).exists():
        return 0
    return Target.with_deleted.filter(id=target_id).delete()[0]
