"""What became of each schedule's Runs, from its rollup."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import F

from runs.metrics import percentage
from runs.models import ScheduleRollup
from schedules.models import Schedule

AT_MOST = 100


@dataclass(frozen=True, slots=True)
class ScheduleFigures:
    """Runs of one schedule that ended, ever: skipped and cancelled ones are in the total only.

    `success_rate` is the part of those that were tried; `last_run_at` when the last of these started.
    """

    schedule_id: UUID
    schedule_name: str
    total_runs: int = 0
    successful_runs: int = 0
    failed_runs: int = 0
    timeout_runs: int = 0
    success_rate: float = 0.0
    avg_latency_ms: float = 0.0
    last_run_at: datetime | None = None


def schedules_by_failures() -> list[ScheduleFigures]:
    """At most 100 schedules that are not deleted, most failures (failed and timed out) first.

    Schedules of which no Run has ended come last, newest first.
    """
    # Both keys descend, so that the index is read backwards and reading stops after the last row that is shown.
    worst = (
        ScheduleRollup.objects.filter(schedule__deleted_at__isnull=True, schedule__target__deleted_at__isnull=True)
        .annotate(failures=F("failed_runs") + F("timeout_runs"), name=F("schedule__name"))
        .order_by(F("failures").desc(), "-schedule_id")
    )
    figures = [_figures(rollup, rollup.name) for rollup in worst[:AT_MOST]]
    idle = Schedule.objects.filter(rollup__isnull=True).values_list("id", "name")[: AT_MOST - len(figures)]
    return [*figures, *(ScheduleFigures(schedule_id, name) for schedule_id, name in idle)]


def figures_of(schedule_id: UUID) -> ScheduleFigures:
    """The figures of one schedule.

    Raises:
        Schedule.DoesNotExist: there is none, or it is deleted.
    """
    schedule = Schedule.objects.only("id", "name").get(id=schedule_id)
    rollup = ScheduleRollup.objects.filter(schedule_id=schedule_id).first()
    return _figures(rollup, schedule.name) if rollup else ScheduleFigures(schedule.id, schedule.name)


def _figures(rollup: ScheduleRollup, name: str) -> ScheduleFigures:
    tried = rollup.successful_runs + rollup.failed_runs + rollup.timeout_runs
    average = rollup.latency_total_ms / rollup.latency_count if rollup.latency_count else 0.0
    return ScheduleFigures(
        schedule_id=rollup.schedule_id,
        schedule_name=name,
        total_runs=rollup.total_runs,
        successful_runs=rollup.successful_runs,
        failed_runs=rollup.failed_runs,
        timeout_runs=rollup.timeout_runs,
        success_rate=percentage(rollup.successful_runs, tried),
        avg_latency_ms=round(average, 2),
        last_run_at=rollup.last_run_at,
    )
