"""Selections of runs. They select; enqueue, lifecycle and maintenance decide and write."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import connections, models
from django.db.models import BooleanField, Count, Exists, F, Func, OuterRef, Q

from targets.models import BULKY

if TYPE_CHECKING:
    from runs.models import Run  # noqa: F401 - named in quotes, the models import this module

ACTIVE = ("pending", "running", "retrying")
WAITING = ("pending", "retrying")
DEAD = ("failed", "timeout")


def status_in(statuses: Sequence[str]) -> Func:
    """The condition of a partial index, spelled out: SQLite can't see through parameters that the index would do."""
    names = ", ".join(f"'{status}'" for status in statuses)
    return Func(F("status"), template=f"%(expressions)s IN ({names})", output_field=BooleanField())


def has_bodies() -> Func:
    """The condition of the partial index of attempts that have a body, spelled out for the same reason."""
    bodies = (F("response_body"), F("request_body"))
    return Func(*bodies, template="(%(expressions)s > '')", arg_joiner=" > '' OR ", output_field=BooleanField())


class RunQuerySet(models.QuerySet["Run"]):
    """Verbs on the runs table."""

    def visible(self) -> RunQuerySet:
        """Neither the target nor the schedule (where there is one) is deleted."""
        return self.filter(
            Q(schedule__isnull=True) | Q(schedule__deleted_at__isnull=True), target__deleted_at__isnull=True
        )

    def active(self) -> RunQuerySet:
        """Not ended yet."""
        return self.filter(status_in(ACTIVE))

    def dead(self) -> RunQuerySet:
        """Finally failed, and nobody has resolved it."""
        return self.filter(status__in=DEAD, resolved_at__isnull=True)

    def unblocked(self) -> RunQuerySet:
        """Leave out queued Runs whose schedule still has an earlier active Run."""
        earlier = self.model.with_deleted.filter(
            status_in(ACTIVE), schedule_id=OuterRef("schedule_id"), id__lt=OuterRef("id")
        )
        return self.filter(Q(queued=False) | ~Exists(earlier))

    def waiting(self, full_targets: Collection[UUID] = ()) -> RunQuerySet:
        """Waiting for an attempt, of targets that still have room in this process."""
        queryset = self.filter(status_in(WAITING)).unblocked()
        return queryset.exclude(target_id__in=full_targets) if full_targets else queryset

    def with_owners(self) -> RunQuerySet:
        """Fetch schedule and target along, but for the target's bulky and encrypted columns."""
        return self.select_related("schedule", "target").defer(*(f"target__{name}" for name in BULKY))

    def lock_ready(self, now: datetime, limit: int, full_targets: Collection[UUID] = ()) -> RunQuerySet:
        """Lock up to `limit` Runs whose attempt is due, longest waiting first, passing over locked ones.

        `no_key`: inserting the Attempt that references the row must not wait for this lock. SQLite has no row
        locks; there the caller's conditional update (compare-and-swap on `token`) decides who won.
        """
        queryset = self.waiting(full_targets).filter(next_attempt_at__lte=now).order_by("next_attempt_at", "id")
        return queryset[:limit].locked(skip_locked=True)

    def lock_running(self, ids: Sequence[UUID]) -> RunQuerySet:
        """Lock the given Runs, in the order of their ids so that two writers can't deadlock."""
        return self.filter(id__in=ids).order_by("id").locked(skip_locked=False)

    def lock_held_by(self, workers: Collection[UUID], limit: int) -> RunQuerySet:
        """Lock up to `limit` running Runs held by one of `workers`."""
        return self.filter(status="running", worker_id__in=workers).order_by("id")[:limit].locked(skip_locked=True)

    def locked(self, *, skip_locked: bool) -> RunQuerySet:
        """Add the row lock where the database has one."""
        if connections[self.db].features.has_select_for_update_skip_locked:
            return self.select_for_update(skip_locked=skip_locked, no_key=True, of=("self",))
        return self

    def holders(self) -> set[UUID]:
        """Every worker id that holds a running Run."""
        held = self.filter(status="running").order_by().values_list("worker_id", flat=True).distinct()
        return {worker for worker in held if worker is not None}

    def next_ready(self, full_targets: Collection[UUID] = ()) -> RunQuerySet:
        """The one that `lock_ready` will find first."""
        return self.waiting(full_targets).order_by("next_attempt_at")[:1]

    def next_ready_at(self, full_targets: Collection[UUID] = ()) -> datetime | None:
        """The earliest moment at which `lock_ready` will find something, or None."""
        return next(iter(self.next_ready(full_targets).values_list("next_attempt_at", flat=True)), None)

    def active_per_schedule(self, schedules: Collection[UUID]) -> dict[UUID, int]:
        """How many Runs of each of the schedules have not ended, any trigger."""
        rows = self.active().filter(schedule_id__in=schedules).order_by().values_list("schedule_id")
        return {schedule: count for schedule, count in rows.annotate(count=Count("id")) if schedule is not None}


class _VisibleRuns(models.Manager["Run"]):
    def get_queryset(self) -> RunQuerySet:
        return RunQuerySet(self.model, using=self._db).visible()


# Runs whose target and schedule are not deleted: what every list and look-up sees.
VisibleRuns = _VisibleRuns.from_queryset(RunQuerySet)
