"""Read side of the rollups and of the queue: every number that metrics, health and the dashboard show.

Nothing here reads ended Runs: their numbers come from the rollups, and the queue from the partial indexes of Runs that
have not ended. So the cost does not grow with history.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Count, Q, Sum
from django.utils import timezone

from runs.histograms import LATENCY_BOUNDS, LATENESS_BOUNDS, Histogram
from runs.models import ACTIVE_STATUSES, FINAL_STATUSES, MinuteRollup, Run, RunStatus
from runs.next_moments import next_due_moments
from runs.outcome import ErrorType
from runs.rollups import TRIED_STATUSES, RollupKind
from schedules.models import Schedule, ScheduleStatus
from targets.models import Target

HOURS_ON_DASHBOARD = 24


@dataclass(frozen=True, slots=True)
class Figures:
    """What became of the Runs that ended in some stretch of time. Every status and error type has its place."""

    statuses: Mapping[str, int]
    errors: Mapping[str, int]
    latency: Histogram
    lateness: Histogram

    @property
    def ended(self) -> int:
        """Runs that reached a final status, whichever: skipped and cancelled ones too."""
        return sum(self.statuses.values())

    @property
    def tried(self) -> int:
        """Runs that ended after a try: successful, failed or timed out. Skipped and cancelled ones are left out."""
        return sum(self.statuses[status] for status in TRIED_STATUSES)

    @property
    def success_rate(self) -> float:
        """Successful Runs as a percentage of those tried; 0 without any."""
        return percentage(self.statuses[RunStatus.SUCCESS], self.tried)


@dataclass(frozen=True, slots=True)
class History:
    """Figures of all time, of the last 24 hours and of the last hour.

    A window starts at a full minute: it is up to a minute longer than its name says, never shorter.
    """

    ever: Figures
    last_day: Figures
    last_hour: Figures


@dataclass(frozen=True, slots=True)
class Queue:
    """Runs that have not ended, and for how many seconds the longest waiting Run or tick has been due."""

    pending: int
    running: int
    retrying: int
    oldest_due_seconds: float


@dataclass(frozen=True, slots=True)
class Inventory:
    """Targets, and schedules by status, that are not deleted."""

    targets: int
    schedules: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class HourOfRuns:
    """Runs that ended in the hour from `start`: `failed` includes those that timed out."""

    start: datetime
    success: int
    failed: int


def percentage(part: int, whole: int) -> float:
    """`part` in percent of `whole`, to two places; 0 where there is nothing to divide by."""
    return round(100 * part / whole, 2) if whole else 0.0


def read_history(now: datetime) -> History:
    """The figures of all windows, in one statement and so of one moment."""
    day, hour = (Q(minute__gte=_minute(now - window)) for window in (timedelta(hours=24), timedelta(hours=1)))
    rows = list(
        MinuteRollup.objects.order_by()
        .values_list("kind", "label")
        .annotate(
            Sum("count"),
            Sum("total"),
            day_count=Sum("count", filter=day, default=0),
            day_total=Sum("total", filter=day, default=0.0),
            hour_count=Sum("count", filter=hour, default=0),
            hour_total=Sum("total", filter=hour, default=0.0),
        )
    )
    return History(*(_figures((row[0], row[1], row[at], row[at + 1]) for row in rows) for at in (2, 4, 6)))


def read_queue(now: datetime) -> Queue:
    """Runs of targets and schedules that are not deleted; what is due is judged by `now`, the database's time."""
    rows = Run.with_deleted.active().visible().order_by().values_list("status").annotate(Count("id"))
    counts = dict.fromkeys(ACTIVE_STATUSES, 0) | dict(rows)
    due = (Run.with_deleted.visible().next_ready_at(), min(next_due_moments(), default=None))
    oldest = min((moment for moment in due if moment is not None), default=now)
    return Queue(
        pending=counts[RunStatus.PENDING],
        running=counts[RunStatus.RUNNING],
        retrying=counts[RunStatus.RETRYING],
        oldest_due_seconds=max(0.0, round((now - oldest).total_seconds(), 3)),
    )


def read_inventory() -> Inventory:
    """How many targets and schedules there are."""
    rows = Schedule.objects.order_by().values_list("status").annotate(Count("id"))
    schedules = dict.fromkeys((status.value for status in ScheduleStatus), 0) | dict(rows)
    return Inventory(targets=Target.objects.count(), schedules=schedules)


def read_last_hours(now: datetime) -> list[HourOfRuns]:
    """The last 24 hours of the service's zone, oldest first; the last one is the hour of `now`, still growing."""
    local = timezone.localtime(now)
    into_hour = local - local.replace(minute=0, second=0, microsecond=0)
    first = now.astimezone(UTC) - into_hour - timedelta(hours=HOURS_ON_DASHBOARD - 1)
    rows = (
        MinuteRollup.objects.filter(kind=RollupKind.STATUS, label__in=TRIED_STATUSES, minute__gte=first)
        .order_by()
        .values_list("minute", "label")
        .annotate(Sum("count"))
    )
    success, failed = [0] * HOURS_ON_DASHBOARD, [0] * HOURS_ON_DASHBOARD
    for minute, label, count in rows:
        # Not the database's truncation to hours: it makes one of the two that a zone repeats in autumn.
        position = min((minute - first) // timedelta(hours=1), HOURS_ON_DASHBOARD - 1)
        (success if label == RunStatus.SUCCESS else failed)[position] += count
    return [
        HourOfRuns(timezone.localtime(first + timedelta(hours=position)), success[position], failed[position])
        for position in range(HOURS_ON_DASHBOARD)
    ]


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _figures(cells: Iterable[tuple[str, str, int, float]]) -> Figures:
    by_kind: dict[str, list[tuple[str, int, float]]] = defaultdict(list)
    for kind, label, count, total in cells:
        by_kind[kind].append((label, count, total))

    def counts(kind: RollupKind, names: Iterable[str]) -> dict[str, int]:
        return dict.fromkeys(names, 0) | {label: count for label, count, _ in by_kind[kind]}

    return Figures(
        statuses=counts(RollupKind.STATUS, (status.value for status in FINAL_STATUSES)),
        errors=counts(RollupKind.ERROR, (error.value for error in ErrorType if error is not ErrorType.NONE)),
        latency=Histogram.from_cells(LATENCY_BOUNDS, by_kind[RollupKind.LATENCY]),
        lateness=Histogram.from_cells(LATENESS_BOUNDS, by_kind[RollupKind.LATENESS]),
    )
