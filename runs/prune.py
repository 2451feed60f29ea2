"""Prune: remove ended Runs that are older than their retention, and clear the bodies of old attempts.

In short transactions of a few rows each; only rows of ended Runs are locked, which no claim looks at. Counters of
metrics are left alone: they count every Run that ever ended.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Case, Q, QuerySet, Subquery, Value, When
from django.db.models.expressions import OuterRef

from runs.batch_size import MOST_ROWS, BatchSize
from runs.models import FINAL_STATUSES, Attempt, Run
from runs.querysets import has_bodies
from runs.retention import RetentionPolicy
from schedules.models import Schedule

# How often a worker looks through the old Runs that stay for being their schedule's newest.
BETWEEN_SWEEPS = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Step:
    """What one batch came to: `kept` old Runs stayed because they are among the newest of their schedule.

    `looked_at` counts those that another worker removed first as well.
    """

    status: str
    runs: int
    attempts: int
    kept: int
    looked_at: int


@dataclass(frozen=True, slots=True)
class _OldRun:
    id: UUID
    schedule_id: UUID | None
    completed_at: datetime


@dataclass(slots=True)
class Batch:
    """What a transaction deals with."""

    rows: int = 0


class BatchTimer:
    """Opens the transactions of batches and tells their size what they took.

    The clock starts once the transaction is open: how long one waits for SQLite's write lock says nothing about how
    long oneself holds it.
    """

    def __init__(self, size: BatchSize, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.size = size
        self._monotonic = monotonic

    @contextmanager
    def transaction(self) -> Iterator[Batch]:
        """A transaction for one batch; the caller says how many rows it had."""
        batch = Batch()
        with transaction.atomic():
            started = self._monotonic()
            yield batch
        self.size.took(self._monotonic() - started, rows=batch.rows)


class Sweep:
    """One pass over everything that is old at `now`, oldest first, status by status.

    It remembers its place, so that old Runs that stay are passed over once and not before every batch.

    Args:
        policy: what is old, and how many of each schedule stay.
        now: the database's time.
        archive: called with the ids of a batch before it is removed; what it raises stops the sweep, nothing removed.
        dry_run: count only.
    """

    def __init__(
        self,
        policy: RetentionPolicy,
        *,
        now: datetime,
        archive: Callable[[Sequence[UUID]], None] | None = None,
        dry_run: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._todo = list(policy.cutoffs(now).items())
        self._keep_last = policy.keep_last
        self._archive = archive
        self._dry_run = dry_run
        self._size = BatchSize()
        self._timer = BatchTimer(self._size, monotonic=monotonic)
        self._place: _OldRun | None = None
        # Read, but not looked at yet.
        self._ahead: deque[_OldRun] = deque()
        self._bounds: dict[UUID, UUID | None] = {}

    def step(self) -> Step | None:
        """Remove the next batch; None when nothing is left."""
        while self._todo:
            status, cutoff = self._todo[0]
            if not self._ahead:
                self._ahead.extend(_next_old(status, cutoff, after=self._place))
                self._learn_bounds(self._ahead)
            if self._ahead:
                return self._remove(status)
            self._todo.pop(0)
            self._place = None
        return None

    def _remove(self, status: str) -> Step:
        most = MOST_ROWS if self._dry_run else self._size.rows
        ids: list[UUID] = []
        kept = 0
        while self._ahead and len(ids) < most:
            self._place = run = self._ahead.popleft()
            if self._stays(run):
                kept += 1
            else:
                ids.append(run.id)
        runs, attempts = self._remove_ids(ids)
        return Step(status=status, runs=runs, attempts=attempts, kept=kept, looked_at=len(ids) + kept)

    def _remove_ids(self, ids: Sequence[UUID]) -> tuple[int, int]:
        if not ids:
            return 0, 0
        if self._dry_run:
            return len(ids), Attempt.objects.filter(run_id__in=ids).count()
        if self._archive is not None:
            self._archive(ids)
        return delete_ended(ids, timer=self._timer)

    def _stays(self, run: _OldRun) -> bool:
        if self._keep_last == 0 or run.schedule_id is None:
            return False
        bound = self._bounds[run.schedule_id]
        return bound is None or run.id >= bound

    def _learn_bounds(self, seen: Iterable[_OldRun]) -> None:
        # A bound stays right for the whole sweep: new Runs only move it up.
        unknown = {run.schedule_id for run in seen if run.schedule_id is not None} - self._bounds.keys()
        if self._keep_last and unknown:
            self._bounds |= _bounds_of(unknown, self._keep_last)


def _next_old(status: str, cutoff: datetime, *, after: _OldRun | None) -> list[_OldRun]:
    old = Run.with_deleted.filter(status=status, completed_at__lt=cutoff).order_by("completed_at", "id")
    if after is not None:
        old = old.filter(
            Q(completed_at__gt=after.completed_at) | Q(id__gt=after.id), completed_at__gte=after.completed_at
        )
    rows = old.values_list("id", "schedule_id", "completed_at")[:MOST_ROWS]
    return [_OldRun(run_id, schedule_id, at) for run_id, schedule_id, at in rows if at is not None]


def _bounds_of(schedules: Collection[UUID], keep_last: int) -> dict[UUID, UUID | None]:
    """For each schedule the oldest of its `keep_last` newest Runs; None where it has no more than those."""
    newest = Run.with_deleted.filter(schedule_id=OuterRef("id")).order_by("-id").values("id")
    bounds = Schedule.with_deleted.filter(id__in=schedules).order_by()
    found = bounds.values_list("id", Subquery(newest[keep_last - 1 : keep_last]))
    return dict.fromkeys(schedules) | dict(found)


def delete_ended(ids: Sequence[UUID], *, timer: BatchTimer) -> tuple[int, int]:
    """Remove those of the Runs that have ended and that nobody has locked, with their attempts.

    Returns:
        How many Runs and attempts are gone.
    """
    with timer.transaction() as batch:
        ended = Run.with_deleted.filter(id__in=ids, status__in=FINAL_STATUSES).order_by("id").only("id")
        ours = [run.id for run in ended.locked(skip_locked=True)]
        batch.rows = len(ours)
        if not ours:
            return 0, 0
        attempts = Attempt.objects.filter(run_id__in=ours)._raw_delete("default")
        Run.with_deleted.filter(id__in=ours)._raw_delete("default")
    return len(ours), attempts


def clear_bodies(policy: RetentionPolicy, *, now: datetime, timer: BatchTimer) -> int:
    """Clear the bodies of one batch of attempts that ended before the policy's cutoff; everything else on them stays.

    A request body becomes empty where there was one, and stays null where there was none; `bodies_cleared_at` tells
    a cleared body from one that never was.

    Returns:
        How many attempts were cleared; 0 means that none is left.
    """
    with timer.transaction() as batch:
        oldest = old_bodies(policy, now=now).order_by("completed_at").values_list("id", flat=True)
        ids = list(_locked(oldest[: timer.size.rows]))
        batch.rows = len(ids)
        return Attempt.objects.filter(id__in=ids).update(
            request_body=Case(When(request_body__isnull=False, then=Value(""))),
            response_body="",
            bodies_cleared_at=now,
        )


def old_bodies(policy: RetentionPolicy, *, now: datetime) -> QuerySet[Attempt]:
    """Attempts that still have a body although they ended before the policy's cutoff."""
    cutoff = policy.body_cutoff(now)
    if cutoff is None:
        return Attempt.objects.none()
    return Attempt.objects.filter(has_bodies(), completed_at__lt=cutoff)


def _locked(attempts: QuerySet[Attempt, UUID]) -> QuerySet[Attempt, UUID]:
    if connection.features.has_select_for_update_skip_locked:
        return attempts.select_for_update(skip_locked=True, no_key=True)
    return attempts


class Upkeep:
    """Retention as a worker does it: one small batch per call."""

    def __init__(self, policy: RetentionPolicy, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy
        self._monotonic = monotonic
        self._timer = BatchTimer(BatchSize(), monotonic=monotonic)
        self._sweep: Sweep | None = None
        self._began: datetime | None = None

    def prune(self, *, now: datetime) -> int:
        """Look through the next old Runs and remove those that go; how many were looked at."""
        if self._sweep is None:
            # A clock that was set back must not put the next sweep off for long.
            if self._began is not None and timedelta(0) <= now - self._began < BETWEEN_SWEEPS:
                return 0
            self._began = now
            self._sweep = Sweep(self._policy, now=now, monotonic=self._monotonic)
        step = self._sweep.step()
        if step is None:
            self._sweep = None
            return 0
        return step.looked_at

    def clear(self, *, now: datetime) -> int:
        """Clear the next old bodies; how many attempts had some."""
        return clear_bodies(self._policy, now=now, timer=self._timer)
