"""The hot queries read an index, whatever the size of the table (PostgreSQL)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, models, transaction

from runs.batch_update import existing_ids, update_rows
from runs.models import Run
from runs.row_source import binary_cursor
from schedules.models import Schedule
from tests.factories import NOW, make_ended_run, make_run, make_schedule, make_target

FILL_RUNS = """
    INSERT INTO runs_run (id, schedule_id, target_id, trigger, status, reason, missed_ticks, queued, scheduled_at,
        started_at, completed_at, attempt_count, final_error_type, final_error_message, resolved_note, created_at,
        token)
    SELECT gen_random_uuid(), %s, %s, 'schedule', 'success', '', 0, false, now(), now(), now(), 1, 'none', '', '',
        now(), 1
    FROM generate_series(1, 20000)
"""
FILL_WAITING = """
    INSERT INTO runs_run (id, schedule_id, target_id, trigger, status, reason, missed_ticks, queued, scheduled_at,
        next_attempt_at, attempt_count, final_error_type, final_error_message, resolved_note, created_at, token)
    SELECT gen_random_uuid(), id, target_id, 'schedule', 'pending', '', 0, false, now(), next_run_at, 0, 'none', '',
        '', now(), 1
    FROM schedules_schedule
"""
COPIED = ", ".join(
    str(field.column) for field in Schedule._meta.concrete_fields if field.name not in ("id", "next_run_at")
)
FILL_SCHEDULES = f"""
    INSERT INTO schedules_schedule (id, next_run_at, {COPIED})
    SELECT gen_random_uuid(), next_run_at + n * interval '1 minute', {COPIED}
    FROM schedules_schedule, generate_series(1, 5000) AS n
"""


def plan_of(queryset: models.QuerySet[Any]) -> str:
    """The nodes of the plan, flat: type, index or table."""
    found: list[str] = []

    def walk(node: dict[str, Any]) -> None:
        found.append(f"{node['Node Type']} {node.get('Index Name', node.get('Relation Name', ''))}".strip())
        for child in node.get("Plans", []):
            walk(child)

    walk(json.loads(queryset.explain(format="json"))[0]["Plan"])
    return "; ".join(found)


@pytest.fixture
def full_tables(db: None) -> None:
    """20,000 ended runs, 5,000 that wait for their time, and 5,000 schedules that are not due."""
    schedule = make_schedule(make_target())
    with connection.cursor() as cursor:
        cursor.execute(FILL_RUNS, [schedule.id, schedule.target_id])
        cursor.execute(FILL_SCHEDULES)
        cursor.execute(FILL_WAITING)
        cursor.execute("ANALYZE runs_run, schedules_schedule, targets_target")


@pytest.mark.postgres_only
def test_lock_ready_reads_the_partial_index_of_waiting_runs(full_tables: None) -> None:
    plan = plan_of(Run.with_deleted.lock_ready(NOW, 100))
    assert "run_ready" in plan
    assert "Seq Scan runs_run" not in plan


@pytest.mark.postgres_only
def test_next_ready_at_reads_the_partial_index_of_waiting_runs(full_tables: None) -> None:
    plan = plan_of(Run.with_deleted.waiting().order_by("next_attempt_at"))
    assert "run_ready" in plan
    assert "Seq Scan runs_run" not in plan


@pytest.mark.postgres_only
def test_active_runs_are_counted_by_the_partial_index(full_tables: None) -> None:
    active = Run.with_deleted.filter(schedule_id__in=list(Schedule.objects.values_list("id", flat=True)[:3]))
    plan = plan_of(active.active())
    assert "Seq Scan runs_run" not in plan


@pytest.mark.postgres_only
def test_holders_read_the_partial_index_of_running_runs(full_tables: None) -> None:
    assert "Seq Scan runs_run" not in plan_of(Run.with_deleted.filter(status="running").order_by().only("worker_id"))


@pytest.mark.postgres_only
def test_lock_due_reads_the_partial_index_of_active_schedules(full_tables: None) -> None:
    plan = plan_of(Schedule.with_deleted.lock_due(NOW, 100))
    assert "schedule_due" in plan
    assert "Seq Scan schedules_schedule" not in plan


@pytest.mark.postgres_only
@pytest.mark.parametrize("kind", ["update", "look up"])
def test_a_batch_finds_its_rows_by_the_primary_key(full_tables: None, kind: str) -> None:
    ids = list(Run.objects.values_list("id", flat=True)[:100])
    sent: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, *rest: Any) -> Any:
        sent.append((sql, params))
        return execute(sql, params, *rest)

    with transaction.atomic(), connection.execute_wrapper(note):
        if kind == "update":
            update_rows(Run, match=("id", "token"), write=("reason",), rows=[(run_id, 1, "x") for run_id in ids])
        else:
            existing_ids(Run, ids)
    ((sql, params),) = sent
    with binary_cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}", params)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "runs_run_pkey" in plan
    assert "Seq Scan on runs_run" not in plan


@pytest.mark.postgres_only
def test_the_newest_runs_are_read_from_the_primary_key(full_tables: None) -> None:
    assert "Seq Scan runs_run" not in plan_of(Run.objects.order_by("-id")[:100])


@pytest.mark.django_db
def test_visible_leaves_out_what_belongs_to_tombstones() -> None:
    kept = make_ended_run()
    make_ended_run(make_schedule(deleted_at=NOW))
    make_ended_run(make_schedule(make_target(deleted_at=NOW)))
    assert list(Run.objects.all()) == [kept]


@pytest.mark.django_db
def test_dead_runs_are_the_failed_ones_that_nobody_resolved() -> None:
    schedule = make_schedule()
    dead = [make_ended_run(schedule, status=status) for status in ("failed", "timeout")]
    make_ended_run(schedule, status="failed", resolved_at=NOW)
    make_ended_run(schedule)
    assert set(Run.objects.dead()) == set(dead)


@pytest.mark.django_db
def test_full_targets_are_left_out_of_the_next_wake_up() -> None:
    busy = make_run()
    later = make_run(scheduled_at=NOW + timedelta(seconds=9))
    assert Run.with_deleted.next_ready_at() == busy.next_attempt_at
    assert Run.with_deleted.next_ready_at({busy.target_id}) == later.next_attempt_at


@pytest.mark.django_db
def test_active_runs_are_counted_per_schedule_whatever_their_trigger() -> None:
    schedule, other = make_schedule(), make_schedule()
    make_run(schedule)
    make_run(schedule, trigger="manual", status="retrying")
    make_ended_run(schedule)
    make_run(other)
    counts = Run.with_deleted.active_per_schedule([schedule.id])
    assert counts == {schedule.id: 2}
