from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import Sum

from runs.additive_upsert import add_rows
from runs.models import MinuteRollup, ScheduleRollup
from runs.row_source import MOST_PARAMETERS
from tests.factories import NOW, make_schedule

CELL = ("minute", "kind", "label", "shard")
COUNTERS = ("total_runs", "successful_runs", "failed_runs", "timeout_runs", "latency_count", "latency_total_ms")


@pytest.mark.django_db
def test_it_writes_more_rows_than_one_statement_takes() -> None:
    rows = [(NOW, "error", f"{number:05}", 0, number, 0.5) for number in range(MOST_PARAMETERS // 6 * 2 + 1)]
    for _ in range(2):
        add_rows(MinuteRollup, key=CELL, summed=("count", "total"), rows=rows)
    found = MinuteRollup.objects.aggregate(count=Sum("count"), total=Sum("total"))
    assert found == {"count": 2 * sum(range(len(rows))), "total": len(rows)}


@pytest.mark.django_db
@pytest.mark.parametrize(("stored", "added", "kept"), [(0, 1, "new"), (1, 1, "new"), (1, 0, "old"), (None, 0, "new")])
def test_the_newest_fields_follow_the_later_moment(stored: int | None, added: int, kept: str) -> None:
    moment = None if stored is None else NOW + timedelta(seconds=stored)
    schedule = make_schedule()
    ScheduleRollup.objects.create(schedule=schedule, total_runs=1, last_run_at=moment, last_status="old")
    add_rows(
        ScheduleRollup,
        key=("schedule",),
        summed=COUNTERS,
        newest=("last_run_at", "last_status", "last_error_type"),
        rows=[(schedule.id, 1, 0, 1, 0, 1, 2.5, NOW + timedelta(seconds=added), "new", "dns")],
    )
    row = ScheduleRollup.objects.get()
    assert (row.total_runs, row.failed_runs, row.last_status) == (2, 1, kept)
