from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from runs.models import ScheduleRollup
from runs.rollups import EndedRun, count_ended
from runs.schedule_figures import AT_MOST, figures_of, schedules_by_failures
from schedules.models import Schedule
from tests.factories import NOW, make_schedule, make_target
from tests.query_plans import plans_of


def many_schedules(count: int) -> list[Schedule]:
    """Saved schedules like the factory's, in one statement."""
    model = make_schedule()
    fields = {field.attname: getattr(model, field.attname) for field in Schedule._meta.concrete_fields}
    names = [f"Sync {number}" for number in range(count)]
    created = [NOW + timedelta(seconds=number) for number in range(count)]
    copies = [
        Schedule(**{name: value for name, value in fields.items() if name not in ("id", "name", "created_at")})
        for _ in names
    ]
    for copy, name, moment in zip(copies, names, created, strict=True):
        copy.name, copy.created_at = name, moment
    return Schedule.objects.bulk_create(copies)


@pytest.mark.django_db
def test_most_failures_come_first_and_time_outs_are_failures() -> None:
    good, late, bad = make_schedule(name="good"), make_schedule(name="late"), make_schedule(name="bad")
    for schedule, statuses in ((good, ["success"]), (late, ["timeout"]), (bad, ["failed", "timeout"])):
        runs = [EndedRun(schedule.id, status, "none", 10.0, NOW) for status in statuses]
        count_ended(runs, [], now=NOW)
    assert [figures.schedule_name for figures in schedules_by_failures()] == ["bad", "late", "good"]


@pytest.mark.django_db
def test_it_gives_counts_rate_average_and_last_start() -> None:
    schedule = make_schedule()
    for second, (status, latency) in enumerate([("success", 100.0), ("failed", 200.0), ("timeout", None)]):
        started = NOW + timedelta(seconds=second)
        count_ended([EndedRun(schedule.id, status, "none", latency, started)], [], now=NOW)
    figures = figures_of(schedule.id)
    assert (figures.total_runs, figures.successful_runs, figures.failed_runs, figures.timeout_runs) == (3, 1, 1, 1)
    assert (figures.success_rate, figures.avg_latency_ms) == (33.33, 150.0)
    assert figures.last_run_at == NOW + timedelta(seconds=2)
    assert schedules_by_failures() == [figures]


@pytest.mark.django_db
def test_runs_that_were_not_tried_are_in_the_total_and_leave_the_rate_alone() -> None:
    schedule = make_schedule()
    for status in ("success", "failed", "skipped", "skipped", "cancelled"):
        count_ended([EndedRun(schedule.id, status, "none", None, NOW)], [], now=NOW)
    figures = figures_of(schedule.id)
    assert (figures.total_runs, figures.success_rate) == (5, 50.0)


@pytest.mark.django_db
def test_schedules_without_ended_runs_come_last_newest_first() -> None:
    schedules = many_schedules(3)
    count_ended([EndedRun(schedules[0].id, "success", "none", 1.0, NOW)], [], now=NOW)
    names = [figures.schedule_name for figures in schedules_by_failures()]
    assert names[:3] == ["Sync 0", "Sync 2", "Sync 1"]


@pytest.mark.django_db
@pytest.mark.parametrize("with_runs", [0, 3, AT_MOST + 5])
def test_it_shows_at_most_a_hundred(with_runs: int) -> None:
    schedules = many_schedules(AT_MOST + 5)
    rollups = [ScheduleRollup(schedule=schedule, total_runs=1) for schedule in schedules[:with_runs]]
    ScheduleRollup.objects.bulk_create(rollups)
    found = schedules_by_failures()
    assert len(found) == AT_MOST
    assert sum(figures.total_runs for figures in found) == min(with_runs, AT_MOST)


@pytest.mark.django_db
@pytest.mark.parametrize("target_deleted", [True, False])
@pytest.mark.parametrize("with_runs", [True, False])
def test_deleted_schedules_are_not_shown(target_deleted: bool, with_runs: bool) -> None:
    gone = NOW if target_deleted else None
    schedule = make_schedule(make_target(deleted_at=gone), deleted_at=None if target_deleted else NOW)
    if with_runs:
        ScheduleRollup.objects.create(schedule=schedule, total_runs=1)
    assert schedules_by_failures() == []
    with pytest.raises(Schedule.DoesNotExist):
        figures_of(schedule.id)


@pytest.mark.django_db
def test_a_schedule_without_ended_runs_has_zeros() -> None:
    schedule = make_schedule(name="new")
    figures = figures_of(schedule.id)
    assert (figures.schedule_name, figures.total_runs, figures.success_rate, figures.last_run_at) == ("new", 0, 0, None)


@pytest.mark.postgres_only
@pytest.mark.django_db
def test_the_worst_are_read_from_the_index_and_no_further() -> None:
    schedules = many_schedules(3000)
    rollups = [ScheduleRollup(schedule=schedule, failed_runs=n) for n, schedule in enumerate(schedules)]
    ScheduleRollup.objects.bulk_create(rollups)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    [worst] = plans_of(schedules_by_failures)
    assert "schedule_rollup_failures" in worst
    assert "Sort" not in worst
