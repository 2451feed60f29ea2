from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from runs.histograms import LATENCY_BOUNDS
from runs.models import MinuteRollup, ScheduleRollup
from runs.rollups import EPOCH, EndedRun, count_ended, fold_old_minutes, summable
from tests.factories import NOW, make_schedule


def ended(schedule_id: UUID | None = None, **fields: object) -> EndedRun:
    values = {"status": "success", "error_type": "none", "latency_ms": 120.0, "started_at": NOW, **fields}
    return EndedRun(schedule_id=schedule_id, **values)  # type: ignore[arg-type]


def counted(kind: str) -> dict[str, int]:
    rows = MinuteRollup.objects.filter(kind=kind).values_list("label").annotate(count=Sum("count"))
    return dict(rows)


@pytest.mark.django_db
def test_it_counts_statuses_errors_latencies_and_latenesses() -> None:
    runs = [ended(), ended(), ended(status="failed", error_type="dns", latency_ms=7.0), ended(status="skipped")]
    count_ended(runs, [0.2, 0.2, 4.0], now=NOW)
    assert counted("status") == {"success": 2, "failed": 1, "skipped": 1}
    assert counted("error") == {"dns": 1}
    assert counted("latency") == {"0.25": 2, "0.01": 1}
    assert counted("lateness") == {"0.25": 2, "5": 1}


@pytest.mark.django_db
def test_it_sums_seconds() -> None:
    count_ended([ended(latency_ms=120.0), ended(latency_ms=130.0)], [0.2, 0.03], now=NOW)
    total = dict(MinuteRollup.objects.values_list("kind").annotate(total=Sum("total")))
    assert total == {"status": 0, "latency": pytest.approx(0.25, abs=1e-4), "lateness": pytest.approx(0.23, abs=1e-4)}


@pytest.mark.django_db
@pytest.mark.parametrize("bound", LATENCY_BOUNDS)
def test_a_latency_at_a_bound_counts_up_to_that_bound(bound: float) -> None:
    count_ended([ended(latency_ms=bound * 1000)], [], now=NOW)
    assert counted("latency") == {f"{bound:g}": 1}


@pytest.mark.django_db
def test_calls_in_the_same_minute_add_up_in_the_same_row() -> None:
    for seconds in (0, 59):
        count_ended([ended()], [], now=NOW + timedelta(seconds=seconds))
    assert MinuteRollup.objects.get(kind="status").count == 2


@pytest.mark.django_db
def test_each_minute_has_its_row() -> None:
    for seconds in (59, 60):
        count_ended([ended()], [], now=NOW + timedelta(seconds=seconds))
    minutes = MinuteRollup.objects.filter(kind="status").values_list("minute", flat=True)
    assert set(minutes) == {NOW, NOW + timedelta(minutes=1)}


@pytest.mark.django_db
def test_a_start_before_its_due_moment_is_no_lateness() -> None:
    count_ended([], [-3.0], now=NOW)
    row = MinuteRollup.objects.get()
    assert (row.label, row.total) == ("0.01", 0)


@pytest.mark.django_db
@pytest.mark.parametrize("status", ["skipped", "cancelled"])
def test_a_run_that_was_not_tried_adds_to_its_schedules_total_only(status: str) -> None:
    count_ended([ended(make_schedule().id, status=status, latency_ms=None, started_at=None)], [], now=NOW)
    row = ScheduleRollup.objects.get()
    assert (row.total_runs, row.successful_runs, row.failed_runs, row.timeout_runs) == (1, 0, 0, 0)
    assert (row.latency_count, counted("latency")) == (0, {})
    assert (row.last_run_at, row.last_status, row.last_error_type) == (None, "", "none")


@pytest.mark.django_db
@pytest.mark.parametrize("in_one_batch", [True, False])
def test_a_run_that_was_not_tried_leaves_the_schedules_last_as_it_is(in_one_batch: bool) -> None:
    schedule = make_schedule()
    runs = [ended(schedule.id, status="failed", error_type="dns"), ended(schedule.id, status="skipped")]
    for batch in [runs] if in_one_batch else [[run] for run in runs]:
        count_ended(batch, [], now=NOW)
    row = ScheduleRollup.objects.get()
    assert (row.total_runs, row.last_run_at, row.last_status, row.last_error_type) == (2, NOW, "failed", "dns")


@pytest.mark.django_db
def test_a_run_without_latency_is_counted_and_leaves_the_average_alone() -> None:
    schedule = make_schedule()
    count_ended([ended(schedule.id, status="failed", error_type="worker_lost", latency_ms=None)], [], now=NOW)
    row = ScheduleRollup.objects.get()
    assert (row.failed_runs, row.latency_count, counted("latency")) == (1, 0, {})


@pytest.mark.django_db
def test_it_adds_up_what_became_of_a_schedules_runs() -> None:
    schedule = make_schedule()
    count_ended([ended(schedule.id), ended(schedule.id, status="timeout", error_type="timeout")], [], now=NOW)
    count_ended([ended(schedule.id, status="failed", latency_ms=10.0)], [], now=NOW)
    row = ScheduleRollup.objects.get(schedule=schedule)
    assert (row.total_runs, row.successful_runs, row.failed_runs, row.timeout_runs) == (3, 1, 1, 1)
    assert row.latency_count == 3
    assert row.latency_total_ms == pytest.approx(250.0)


@pytest.mark.django_db
@pytest.mark.parametrize("later_first", [True, False])
def test_the_run_that_started_last_is_the_schedules_last_in_whatever_order_they_end(later_first: bool) -> None:
    schedule = make_schedule()
    early = ended(schedule.id, status="failed", error_type="ssl", started_at=NOW)
    late = ended(schedule.id, started_at=NOW + timedelta(microseconds=1))
    for run in (late, early) if later_first else (early, late):
        count_ended([run], [], now=NOW)
    row = ScheduleRollup.objects.get()
    assert (row.last_run_at, row.last_status, row.last_error_type) == (late.started_at, "success", "none")


@pytest.mark.django_db
def test_nothing_ended_writes_nothing(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        count_ended([], [], now=NOW)


@pytest.mark.django_db
def test_a_batch_is_one_statement_per_table(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    schedules = [make_schedule() for _ in range(5)]
    with django_assert_num_queries(2):
        count_ended([ended(schedule.id) for schedule in schedules], [0.1], now=NOW)


@pytest.mark.django_db(transaction=True)
def test_it_refuses_to_count_outside_a_transaction() -> None:
    with pytest.raises(transaction.TransactionManagementError):
        count_ended([ended()], [], now=NOW)


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_rolls_back_counts_nothing() -> None:
    with transaction.atomic():
        count_ended([ended()], [0.1], now=NOW)
        transaction.set_rollback(True)
    assert not MinuteRollup.objects.exists()


@pytest.mark.django_db
def test_folding_keeps_every_count_and_sum() -> None:
    generator = random.Random(4)
    expected: Counter[tuple[str, str]] = Counter()
    for number in range(200):
        kind, label = generator.choice([("status", "success"), ("latency", "0.1"), ("latency", "inf")])
        minute = NOW - timedelta(minutes=20 * number)
        MinuteRollup.objects.create(minute=minute, kind=kind, label=label, shard=number % 8, count=number, total=0.5)
        expected[kind, label] += number
    while fold_old_minutes(now=NOW, limit=7):
        pass
    found = MinuteRollup.objects.values_list("kind", "label").annotate(count=Sum("count"), total=Sum("total"))
    assert {(kind, label): count for kind, label, count, _ in found} == dict(expected)
    assert sum(total for *_, total in found) == pytest.approx(100.0)
    assert not MinuteRollup.objects.filter(minute__gt=EPOCH, minute__lt=NOW - timedelta(hours=25)).exists()


@pytest.mark.django_db
def test_folding_leaves_the_last_25_hours_alone() -> None:
    for hours in (0, 24, 25):
        count_ended([ended(latency_ms=None)], [], now=NOW - timedelta(hours=hours))
    assert fold_old_minutes(now=NOW) == 0
    assert fold_old_minutes(now=NOW + timedelta(minutes=1)) == 1


@pytest.mark.django_db
def test_folding_adds_to_what_was_folded_before() -> None:
    for _ in range(2):
        count_ended([ended()], [], now=NOW - timedelta(days=2))
        assert fold_old_minutes(now=NOW) == 2
    row = MinuteRollup.objects.get(kind="latency")
    assert (row.minute, row.count) == (EPOCH, 2)
    assert row.total == pytest.approx(0.24, abs=1e-4)


def in_threads(count: int, work: list[EndedRun], rounds: int) -> None:
    """Let `count` connections count the same work in opposite orders; threads of a process share its shard."""
    barrier = Barrier(count)

    def write(position: int) -> None:
        try:
            barrier.wait(10)
            for _ in range(rounds):
                with transaction.atomic():
                    count_ended(work if position % 2 else work[::-1], [0.1, 9.0], now=NOW)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(write, range(count)))


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_connections_that_count_at_once_add_up_without_deadlock() -> None:
    schedules = [make_schedule() for _ in range(4)]
    work = [
        ended(schedule.id, status=status, error_type=error, latency_ms=latency)
        for schedule in schedules
        for status, error, latency in (("success", "none", 10.0), ("failed", "dns", 3000.0))
    ]
    in_threads(4, work, 15)
    assert counted("status") == {"success": 240, "failed": 240}
    assert set(ScheduleRollup.objects.values_list("total_runs", flat=True)) == {120}


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_two_folders_at_once_fold_every_row_once() -> None:
    for minute in range(60):
        with transaction.atomic():
            count_ended([ended()], [0.1], now=NOW - timedelta(days=2, minutes=minute))
    barrier = Barrier(2)

    def fold(_: int) -> int:
        try:
            barrier.wait(10)
            return sum(iter(lambda: fold_old_minutes(now=NOW, limit=9), 0))
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(fold, range(2))) == 180
    assert set(MinuteRollup.objects.values_list("minute", "count")) == {(EPOCH, 60)}


@given(st.lists(st.floats(min_value=0, max_value=4000), max_size=50), st.randoms())
def test_sums_of_seconds_don_t_depend_on_the_order(values: list[float], generator: random.Random) -> None:
    shuffled = generator.sample(values, len(values))
    assert sum(map(summable, shuffled)) == sum(map(summable, values))
    assert sum(map(summable, values)) == pytest.approx(sum(values), abs=len(values) / 100_000)
