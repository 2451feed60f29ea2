"""Removing ended runs that are older than their retention, and clearing old bodies (guarantee G24)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection

from runs import prune
from runs.batch_size import FIRST_ROWS, LEAST_ROWS, WANTED_SECONDS, BatchSize
from runs.models import ACTIVE_STATUSES, FINAL_STATUSES, Attempt, MinuteRollup, Run, ScheduleRollup
from runs.prune import BETWEEN_SWEEPS, BatchTimer, Step, Sweep, Upkeep, clear_bodies, delete_ended, old_bodies
from runs.retention import RetentionPolicy
from runs.rollups import EndedRun, count_ended
from runs.services import replay_run
from schedules.models import Schedule
from tests.factories import NOW, make_attempt, make_ended_run, make_run, make_schedule
from tests.query_plans import plans_of
from tests.runs.conftest import claim
from tests.worker.workers import Monotonic

DAY = timedelta(days=1)

pytestmark = pytest.mark.django_db


def policy(**fields: Any) -> RetentionPolicy:
    values = {"success_age": 14 * DAY, "failed_age": 90 * DAY, "body_age": 3 * DAY, "keep_last": 0}
    return RetentionPolicy(**{**values, **fields})


def timer(rows: int = FIRST_ROWS) -> BatchTimer:
    """Of batches of so many rows."""
    size = BatchSize()
    size.rows = rows
    return BatchTimer(size)


def ended(schedule: Schedule | None, days: float, status: str = "success", **fields: Any) -> Run:
    """A Run with one attempt that ended so many days ago."""
    at = NOW - days * DAY
    run = make_ended_run(schedule, status=status, scheduled_at=at, started_at=at, completed_at=at, **fields)
    make_attempt(run, response_body="answer", completed_at=at)
    return run


def sweep(**fields: Any) -> list[Step]:
    """A whole sweep."""
    going = Sweep(policy(**fields), now=NOW)
    steps = []
    while (step := going.step()) is not None:
        steps.append(step)
    return steps


def left() -> set[UUID]:
    return set(Run.with_deleted.values_list("id", flat=True))


@pytest.mark.parametrize("status", FINAL_STATUSES)
def test_a_run_goes_with_its_attempts_when_its_status_is_past_its_age(status: str) -> None:
    schedule = make_schedule()
    days = 90 if status in ("failed", "timeout") else 14
    ended(schedule, days + 0.01, status)
    young = ended(schedule, days - 0.01, status)

    assert sum(step.runs for step in sweep()) == 1

    assert left() == {young.id}
    assert set(Attempt.objects.values_list("run_id", flat=True)) == {young.id}


def test_a_run_is_old_only_after_its_age_and_not_at_it() -> None:
    run = ended(make_schedule(), 14)
    assert sweep() == []
    assert left() == {run.id}


@pytest.mark.parametrize("status", ACTIVE_STATUSES)
def test_g24_a_live_run_stays_however_old_it_is(status: str) -> None:
    holder = {"worker_id": UUID(int=1)} if status == "running" else {}
    run = make_run(make_schedule(), status=status, scheduled_at=NOW - 1000 * DAY, **holder)
    make_attempt(run, completed_at=None)
    assert sweep() == []
    assert delete_ended([run.id], timer=timer()) == (0, 0)
    assert left() == {run.id}


def test_the_newest_of_each_schedule_stay_whatever_their_age_and_status() -> None:
    busy, quiet = make_schedule(), make_schedule()
    old = [ended(busy, days, "success" if days % 2 else "skipped") for days in (300, 200, 101, 100)]
    few = [ended(quiet, days) for days in (900, 800)]

    steps = sweep(keep_last=3)

    assert left() == {run.id for run in (*old[1:], *few)}
    assert (sum(step.runs for step in steps), sum(step.kept for step in steps)) == (1, 5)


def test_runs_of_any_status_count_as_the_newest() -> None:
    schedule = make_schedule()
    ended(schedule, 100)
    make_run(schedule)
    sweep(keep_last=1)
    assert Run.objects.get().status == "pending"


def test_a_test_call_belongs_to_no_schedule_and_just_grows_old() -> None:
    run = ended(None, 20)
    Run.objects.filter(id=run.id).update(schedule=None, trigger="test")
    sweep(keep_last=100)
    assert left() == set()


def test_what_is_kept_for_ever_is_not_even_looked_at() -> None:
    ended(make_schedule(), 10_000)
    assert sweep(success_age=None) == []


def test_a_sweep_goes_on_behind_what_stays() -> None:
    """Otherwise every batch would pass over the same old rows again."""
    schedule = make_schedule()
    for number in range(FIRST_ROWS * 2):
        make_ended_run(schedule, completed_at=NOW - 20 * DAY, scheduled_at=NOW - timedelta(minutes=number))
    going = Sweep(policy(keep_last=10), now=NOW)
    steps = [going.step(), going.step(), going.step()]
    assert [(step.runs, step.kept) if step else None for step in steps] == [(50, 0), (40, 10), None]


def test_runs_that_ended_at_one_moment_are_all_seen_however_few_are_read_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prune, "MOST_ROWS", 2)
    for _ in range(5):
        ended(make_schedule(), 20)
    assert sum(step.kept for step in sweep(keep_last=1)) == 5


def test_no_batch_is_larger_than_what_the_last_ones_took_allows() -> None:
    schedule = make_schedule()
    for number in range(FIRST_ROWS + 2 * LEAST_ROWS):
        make_ended_run(schedule, completed_at=NOW - 20 * DAY, scheduled_at=NOW - timedelta(minutes=number))
    slow = Monotonic()

    def tick() -> float:
        slow.pass_seconds(WANTED_SECONDS * 5)
        return slow.value

    going = Sweep(policy(), now=NOW, monotonic=tick)
    sizes = [step.runs for step in iter(going.step, None) if step is not None]
    assert sizes == [FIRST_ROWS, LEAST_ROWS, LEAST_ROWS]


def test_a_dry_run_counts_and_removes_nothing() -> None:
    kept = {ended(make_schedule(), days).id for days in (20, 30)}
    going = Sweep(policy(), now=NOW, dry_run=True)
    steps = list(iter(going.step, None))
    assert [(step.runs, step.attempts) for step in steps if step] == [(2, 2)]
    assert left() == kept


def test_each_batch_is_archived_before_it_goes() -> None:
    run = ended(make_schedule(), 20)
    seen: list[tuple[list[UUID], set[UUID]]] = []

    def archive(ids: Sequence[UUID]) -> None:
        seen.append((list(ids), left()))

    going = Sweep(policy(), now=NOW, archive=archive)
    assert list(iter(going.step, None))
    assert seen == [([run.id], {run.id})]


def test_nothing_goes_when_the_archive_fails() -> None:
    run = ended(make_schedule(), 20)

    def archive(ids: Sequence[UUID]) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        Sweep(policy(), now=NOW, archive=archive).step()
    assert left() == {run.id}


def test_totals_of_metrics_count_runs_that_are_gone() -> None:
    run = ended(make_schedule(), 20)
    count_ended([EndedRun(run.schedule_id, "success", "none", 5.0, NOW)], [], now=NOW)
    before = [list(table.objects.order_by("pk").values()) for table in (MinuteRollup, ScheduleRollup)]
    sweep()
    assert [list(table.objects.order_by("pk").values()) for table in (MinuteRollup, ScheduleRollup)] == before
    assert left() == set()


def test_a_replay_outlives_the_run_that_it_repeats() -> None:
    original = ended(make_schedule(), 20)
    replay = replay_run(run_id=original.id, now=NOW)
    sweep()
    assert Run.objects.get(id=replay.id).replay_of == original.id
    assert left() == {replay.id}


# --- Bodies -----------------------------------------------------------------------------------------------------


def test_old_bodies_are_cleared_and_nothing_else_is() -> None:
    run = make_ended_run()
    facts = {"response_truncated": True, "response_size_bytes": 10, "response_headers": {"Server": "x"}}
    bodies = {"request_body": "question", "response_body": "answer"}
    attempt = make_attempt(run, completed_at=NOW - 3.01 * DAY, **facts, **bodies)
    before = Attempt.objects.values().get(id=attempt.id)

    assert clear_bodies(policy(), now=NOW, timer=timer()) == 1

    cleared = {"request_body": "", "response_body": "", "bodies_cleared_at": NOW}
    assert Attempt.objects.values().get(id=attempt.id) == {**before, **cleared}
    assert clear_bodies(policy(), now=NOW, timer=timer()) == 0


def test_where_there_was_no_request_body_there_is_none_afterwards() -> None:
    attempt = make_attempt(make_ended_run(), completed_at=NOW - 4 * DAY, response_body="answer")
    clear_bodies(policy(), now=NOW, timer=timer())
    attempt.refresh_from_db()
    assert (attempt.request_body, attempt.bodies_cleared_at) == (None, NOW)


@pytest.mark.parametrize(
    "fields",
    [
        {"completed_at": NOW - 2.99 * DAY, "response_body": "young"},
        {"completed_at": None, "request_body": "open"},
        {"completed_at": NOW - 4 * DAY, "response_body": ""},
        {"completed_at": NOW - 4 * DAY, "response_body": "", "request_body": ""},
    ],
)
def test_young_open_and_empty_attempts_are_left_alone(fields: dict[str, Any]) -> None:
    attempt = make_attempt(make_ended_run(), **fields)
    assert clear_bodies(policy(), now=NOW, timer=timer()) == 0
    attempt.refresh_from_db()
    assert attempt.bodies_cleared_at is None


def test_bodies_can_be_kept_for_ever() -> None:
    make_attempt(make_ended_run(), completed_at=NOW - 4000 * DAY, response_body="answer")
    assert clear_bodies(policy(body_age=None), now=NOW, timer=timer()) == 0


def test_at_most_limit_bodies_are_cleared_oldest_first() -> None:
    schedule = make_schedule()
    attempts = [
        make_attempt(make_ended_run(schedule), completed_at=NOW - days * DAY, response_body="x") for days in (4, 6, 5)
    ]
    assert clear_bodies(policy(), now=NOW, timer=timer(2)) == 2
    assert list(old_bodies(policy(), now=NOW)) == [attempts[0]]


# --- As a worker does it ----------------------------------------------------------------------------------------


def test_a_worker_starts_a_sweep_every_ten_minutes() -> None:
    schedule = make_schedule()
    upkeep = Upkeep(policy())
    ended(schedule, 20)
    assert [upkeep.prune(now=NOW) for _ in range(2)] == [1, 0]
    ended(schedule, 21)
    assert upkeep.prune(now=NOW + BETWEEN_SWEEPS / 2) == 0
    assert upkeep.prune(now=NOW + BETWEEN_SWEEPS) == 1
    assert left() == set()


def test_a_clock_that_is_set_back_does_not_put_the_next_sweep_off() -> None:
    upkeep = Upkeep(policy())
    assert upkeep.prune(now=NOW + 365 * DAY) == 0
    ended(make_schedule(), 20)
    assert upkeep.prune(now=NOW) == 1


def test_a_worker_comes_back_soon_while_there_is_more_to_look_at() -> None:
    ended(make_schedule(), 20)
    assert Upkeep(policy(keep_last=5)).prune(now=NOW) == 1, "kept, but behind it there may be others"


def test_a_worker_comes_back_soon_behind_rows_that_another_one_removed_first() -> None:
    schedule = make_schedule()
    for _ in range(FIRST_ROWS + 2):
        ended(schedule, 20)
    slow, quick = Upkeep(policy()), Upkeep(policy())
    assert slow.prune(now=NOW) == FIRST_ROWS
    assert quick.prune(now=NOW) == 2
    assert slow.prune(now=NOW) == 2, "it had read them before they went; behind them there may be others"


def test_a_worker_clears_bodies_batch_by_batch() -> None:
    schedule = make_schedule()
    for _ in range(FIRST_ROWS + 1):
        make_attempt(make_ended_run(schedule), completed_at=NOW - 4 * DAY, response_body="x")
    upkeep = Upkeep(policy())
    assert [upkeep.clear(now=NOW) for _ in range(3)] == [FIRST_ROWS, 1, 0]


def test_waiting_for_the_transaction_to_begin_is_not_held_against_the_batch() -> None:
    """On SQLite that is the wait for another writer, which a smaller batch would not shorten."""
    clock = Monotonic()
    watch = BatchTimer(BatchSize(), monotonic=clock)

    def wait_at_begin(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(("BEGIN", "SAVEPOINT")):
            clock.pass_seconds(60)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wait_at_begin), watch.transaction() as batch:
        batch.rows = FIRST_ROWS
    assert clock() > 1000, "the wait was seen"
    assert watch.size.rows == 2 * FIRST_ROWS


def test_a_batch_that_found_nothing_does_not_make_the_next_one_larger() -> None:
    watch = timer()
    assert clear_bodies(policy(), now=NOW, timer=watch) == 0
    assert delete_ended([], timer=watch) == (0, 0)
    assert watch.size.rows == FIRST_ROWS


# --- Locks and plans --------------------------------------------------------------------------------------------


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_a_run_that_somebody_has_locked_is_passed_over(other_connection: psycopg.Connection[Any]) -> None:
    schedule = make_schedule()
    locked, free = ended(schedule, 20), ended(schedule, 21)
    other_connection.execute("SELECT 1 FROM runs_run WHERE id = %s FOR UPDATE", [locked.id])

    assert delete_ended([locked.id, free.id], timer=timer()) == (1, 1)
    assert left() == {locked.id}


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_an_attempt_that_somebody_has_locked_keeps_its_body_for_now(other_connection: psycopg.Connection[Any]) -> None:
    attempt = make_attempt(make_ended_run(), completed_at=NOW - 4 * DAY, response_body="x")
    other_connection.execute("SELECT 1 FROM runs_attempt WHERE id = %s FOR UPDATE", [attempt.id])
    assert clear_bodies(policy(), now=NOW, timer=timer()) == 0


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_g24_a_claim_does_not_wait_while_a_batch_is_being_deleted(other_connection: psycopg.Connection[Any]) -> None:
    """The other connection stands in for a pruning worker that was stopped in the middle of its transaction."""
    schedule = make_schedule(overlap_policy="allow")
    old = ended(schedule, 20)
    make_run(schedule)
    other_connection.execute("DELETE FROM runs_attempt WHERE run_id = %s", [old.id])
    other_connection.execute("DELETE FROM runs_run WHERE id = %s", [old.id])

    assert len(claim()) == 1


FILL = """
    INSERT INTO runs_run (id, schedule_id, target_id, trigger, status, reason, missed_ticks, queued, scheduled_at,
        started_at, completed_at, attempt_count, final_error_type, final_error_message, resolved_note, created_at,
        token)
    SELECT gen_random_uuid(), %(schedule)s, %(target)s, 'schedule', 'success', '', 0, false, moment, moment, moment, 1,
        'none', '', '', moment, 1
    FROM (SELECT %(now)s::timestamptz - n * interval '1 minute' AS moment FROM generate_series(1, 30000) AS n) AS m;
    INSERT INTO runs_attempt (id, run_id, attempt_number, token, worker_id, request_url, request_method,
        request_headers, started_at, completed_at, response_headers, response_body, response_truncated, error_type,
        error_message, fenced, timings, created_at)
    SELECT gen_random_uuid(), id, 1, 1, id, '', 'GET', '{}', started_at, completed_at, '{}', 'answer', false, 'none',
        '', false, '{}', created_at FROM runs_run;
    ANALYZE runs_run; ANALYZE runs_attempt; ANALYZE schedules_schedule
"""


@pytest.fixture
def full_tables() -> None:
    """A month of ended runs of one schedule, one per minute, each with an attempt."""
    schedule = make_schedule()
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"schedule": schedule.id, "target": schedule.target_id, "now": NOW})


@pytest.mark.postgres_only
def test_every_statement_of_a_sweep_reads_an_index(full_tables: None) -> None:
    going = Sweep(policy(keep_last=100), now=NOW)
    plans = plans_of(lambda: [going.step(), going.step()])
    assert [plan for plan in plans if "run_ended" in plan and "Sort" not in plan.replace("Incremental Sort", "")]
    assert any("run_of_schedule" in plan for plan in plans)
    assert [plan for plan in plans if "Seq Scan on runs" in plan] == []


@pytest.mark.postgres_only
def test_old_bodies_are_found_by_the_partial_index(full_tables: None) -> None:
    plans = plans_of(lambda: clear_bodies(policy(), now=NOW, timer=timer()))
    assert any("attempt_with_bodies" in plan for plan in plans)
    assert [plan for plan in plans if "Seq Scan on runs" in plan] == []


@pytest.mark.sqlite_only
def test_sqlite_sees_that_the_indexes_of_retention_will_do() -> None:
    ended(make_schedule(), 20)
    going = Sweep(policy(), now=NOW)
    plans = plans_of(lambda: (clear_bodies(policy(), now=NOW, timer=timer()), going.step(), going.step()))
    assert any("attempt_with_bodies" in plan for plan in plans)
    assert any("run_ended" in plan for plan in plans)
