from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import mean
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.utils import timezone

from runs.metrics import Queue, read_history, read_inventory, read_last_hours, read_queue
from runs.models import FINAL_STATUSES, Attempt, MinuteRollup, Run
from runs.rollups import EndedRun, count_ended, fold_old_minutes
from schedules.models import Schedule
from targets.models import Target
from tests.factories import NOW, make_attempt, make_ended_run, make_run, make_schedule, make_target
from tests.query_plans import plans_of

ENDS = [("success", "none"), ("failed", "dns"), ("failed", "server_error"), ("timeout", "timeout"), ("skipped", "none")]


def end_runs(count: int) -> None:
    """Runs of a random fate that ended in the last three days, as rows and counted."""
    generator = random.Random(7)
    schedules = [make_schedule() for _ in range(3)]
    for _ in range(count):
        ended_at = NOW - timedelta(seconds=generator.randrange(72 * 3600))
        status, error = generator.choice(ENDS)
        run = make_ended_run(
            generator.choice(schedules), status=status, final_error_type=error, completed_at=ended_at, scheduled_at=NOW
        )
        tried = status != "skipped"
        latency = generator.uniform(0.1, 4000) if tried else None
        if tried:
            make_attempt(run, latency_ms=latency)
        count_ended([EndedRun(run.schedule_id, status, error, latency, run.started_at)], [], now=ended_at)


def ended_since(moment: datetime | None, **conditions: object) -> int:
    """The same by brute force."""
    runs = Run.objects.filter(**conditions)
    return (runs.filter(completed_at__gte=moment) if moment else runs).count()


@pytest.mark.django_db
def test_figures_agree_with_counting_the_rows() -> None:
    end_runs(150)
    history = read_history(NOW)
    windows = {None: history.ever, timedelta(hours=24): history.last_day, timedelta(hours=1): history.last_hour}
    for window, figures in windows.items():
        since = NOW - window if window else None
        for status in ("success", "failed", "timeout", "skipped"):
            assert figures.statuses[status] == ended_since(since, status=status)
        for error in ("dns", "server_error", "timeout"):
            assert figures.errors[error] == ended_since(since, final_error_type=error)
        assert figures.ended == ended_since(since, status__in=FINAL_STATUSES)
        assert figures.tried == figures.latency.count == ended_since(since, attempts__isnull=False)


@pytest.mark.django_db
def test_the_average_latency_is_exact_and_percentiles_are_of_the_right_bucket() -> None:
    end_runs(60)
    latencies = sorted(attempt.latency_ms or 0 for attempt in Attempt.objects.all())
    latency = read_history(NOW).ever.latency
    assert latency.mean * 1000 == pytest.approx(mean(latencies), abs=0.02)
    middle = latencies[(len(latencies) - 1) // 2] / 1000
    low, high = max(b for b in (0.0, *latency.bounds) if b < middle), min(b for b in latency.bounds if b >= middle)
    assert low <= latency.percentile(50) <= high


@pytest.mark.django_db
def test_folding_changes_no_figure() -> None:
    end_runs(80)
    before, rows = read_history(NOW), MinuteRollup.objects.count()
    while fold_old_minutes(now=NOW, limit=10):
        pass
    assert MinuteRollup.objects.count() < rows / 2
    assert read_history(NOW) == before


@pytest.mark.django_db
@pytest.mark.parametrize(("ago", "inside"), [(59, True), (60, True), (61, False)])
def test_a_window_is_never_shorter_than_its_name_and_at_most_a_minute_longer(ago: int, inside: bool) -> None:
    now = NOW + timedelta(seconds=30)
    count_ended([EndedRun(None, "success", "none", 5.0, NOW)], [], now=now - timedelta(minutes=ago))
    assert read_history(now).last_hour.tried == inside


@pytest.mark.django_db
def test_without_runs_every_figure_is_zero_and_every_label_is_there() -> None:
    figures = read_history(NOW).last_day
    assert figures.statuses == dict.fromkeys(["success", "failed", "timeout", "skipped", "cancelled"], 0)
    assert len(figures.errors) == 13
    assert (figures.success_rate, figures.latency.count, figures.lateness.count) == (0, 0, 0)


@pytest.mark.django_db
def test_skipped_and_cancelled_runs_leave_the_success_rate_alone() -> None:
    statuses = ["success", "success", "failed", "skipped", "cancelled"]
    count_ended([EndedRun(None, status, "none", None, NOW) for status in statuses], [], now=NOW)
    assert read_history(NOW).last_hour.success_rate == 66.67


@pytest.mark.django_db
def test_the_queue_counts_runs_that_have_not_ended() -> None:
    schedule = make_schedule(next_run_at=NOW + timedelta(days=1))
    for status, count in (("pending", 3), ("retrying", 2), ("running", 1)):
        for _ in range(count):
            worker = schedule.id if status == "running" else None
            make_run(schedule, status=status, worker_id=worker, scheduled_at=NOW)
    make_ended_run(schedule)
    assert read_queue(NOW) == Queue(pending=3, running=1, retrying=2, oldest_due_seconds=0.0)


@pytest.mark.django_db
@pytest.mark.parametrize("deleted", ["target", "schedule"])
def test_the_queue_leaves_out_what_was_deleted(deleted: str) -> None:
    run = make_run()
    rows = Target.with_deleted if deleted == "target" else Schedule.with_deleted
    rows.all().update(deleted_at=NOW)
    assert read_queue(run.scheduled_at + timedelta(hours=1)) == Queue(0, 0, 0, 0.0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("run_due", "tick_due", "waited"), [(-5, 60, 5), (60, -7, 7), (-5, -7, 7), (-7, -5, 7), (60, 60, 0), (0, 60, 0)]
)
def test_the_longest_wait_is_that_of_the_earliest_due_run_or_tick(run_due: int, tick_due: int, waited: int) -> None:
    schedule = make_schedule(next_run_at=NOW + timedelta(seconds=tick_due))
    make_run(schedule, scheduled_at=NOW + timedelta(seconds=run_due))
    assert read_queue(NOW).oldest_due_seconds == waited


@pytest.mark.django_db
def test_a_run_that_waits_for_its_predecessor_is_not_due() -> None:
    schedule = make_schedule(next_run_at=NOW + timedelta(days=1))
    make_run(schedule, status="running", worker_id=schedule.id, scheduled_at=NOW - timedelta(minutes=9))
    make_run(schedule, queued=True, scheduled_at=NOW - timedelta(minutes=5))
    assert read_queue(NOW).oldest_due_seconds == 0


@pytest.mark.django_db
def test_a_paused_schedule_is_not_due() -> None:
    make_schedule(status="paused", next_run_at=None)
    assert read_queue(NOW).oldest_due_seconds == 0


@pytest.mark.django_db
def test_the_inventory_counts_what_is_not_deleted() -> None:
    target = make_target()
    make_schedule(target)
    make_schedule(target, status="paused", next_run_at=None)
    make_schedule(target, deleted_at=NOW)
    make_schedule(make_target(deleted_at=NOW))
    inventory = read_inventory()
    assert inventory.targets == 1
    assert inventory.schedules == {"active": 1, "paused": 1, "expired": 0}


@pytest.fixture(params=["Asia/Kolkata", "UTC", "America/New_York", "Asia/Kathmandu"])
def zone(request: pytest.FixtureRequest) -> Iterator[ZoneInfo]:
    zone = ZoneInfo(request.param)
    with timezone.override(zone):
        yield zone


@pytest.mark.django_db
def test_the_last_hours_are_full_hours_of_the_zone(zone: ZoneInfo) -> None:
    hours = read_last_hours(NOW + timedelta(minutes=20))
    assert len(hours) == 24
    assert hours[-1].start == (NOW + timedelta(minutes=20)).astimezone(zone).replace(minute=0)
    assert {later.start - earlier.start for earlier, later in pairwise(hours)} == {timedelta(hours=1)}


@pytest.mark.django_db
def test_runs_are_in_the_hour_in_which_they_ended(zone: ZoneInfo) -> None:
    hours = read_last_hours(NOW)
    for position, status in ((0, "success"), (5, "failed"), (5, "timeout"), (5, "skipped"), (23, "success")):
        count_ended([EndedRun(None, status, "none", None, NOW)], [], now=hours[position].start)
    found = [(hour.success, hour.failed) for hour in read_last_hours(NOW)]
    assert (found[0], found[5], found[23]) == ((1, 0), (0, 2), (1, 0))
    assert sum(success + failed for success, failed in found) == 4


@pytest.mark.django_db
def test_an_hour_that_the_clock_repeats_is_shown_twice() -> None:
    with timezone.override(ZoneInfo("America/New_York")):
        now = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
        for hour in (5, 6):
            count_ended([EndedRun(None, "success", "none", None, NOW)], [], now=now.replace(hour=hour))
        found = [(hour.start.hour, hour.success) for hour in read_last_hours(now)]
    assert [entry for entry in found if entry[0] == 1] == [(1, 1), (1, 1)]


def fill_with_ended_runs(schedule: Schedule, count: int) -> None:
    """Many rows at once, as time would leave them; and what the planner knows of them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO runs_run (id, schedule_id, target_id, trigger, status, reason, missed_ticks, queued,"
            " scheduled_at, completed_at, attempt_count, final_error_type, final_error_message, resolved_note,"
            " created_at, token) SELECT gen_random_uuid(), %s, %s, 'schedule', 'success', '', 0, false,"
            " now(), now(), 1, 'none', '', '', now(), 1 FROM generate_series(1, %s)",
            [schedule.id, schedule.target_id, count],
        )
        cursor.execute("ANALYZE")


@pytest.mark.django_db
def test_no_reading_scans_the_runs() -> None:
    schedule = make_schedule()
    make_run(schedule)
    if connection.vendor == "postgresql":
        fill_with_ended_runs(schedule, 20_000)
    plans = plans_of(lambda: (read_history(NOW), read_queue(NOW), read_inventory(), read_last_hours(NOW)))
    of_runs = [line for plan in plans for line in plan.splitlines() if "runs_run" in line]
    assert of_runs
    assert not [line for line in of_runs if "Seq Scan" in line or ("SCAN" in line and "USING" not in line)]
