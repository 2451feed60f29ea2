"""No hot statement reads a whole table, with a million schedules, runs and attempts in the database (PostgreSQL)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, timedelta
from functools import partial
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from bench.history import fill
from runs.claim import claim_ready
from runs.enqueue import enqueue_due
from runs.handback import hand_back
from runs.models import Run
from runs.next_moments import next_due_moments, next_ready_moments
from runs.outcome import ErrorType, Outcome
from runs.record import record_results
from runs.tickets import Result
from scheduler_project.pagination import Cursor
from schedules.clock import database_now
from schedules.models import Schedule
from tests.factories import make_target
from tests.query_plans import every_plan, scale_statistics
from tests.runs.conftest import FakeSeats
from tests.signed_in import key_client
from worker.dead_workers import rescue_dead_workers
from worker.management.commands.runscheduler import chores
from worker.presence import register

pytestmark = [pytest.mark.postgres_only, pytest.mark.django_db]

MILLION = 1_000_000
IDLE, PAST = 2_000, 8_000
TABLES = ("schedules_schedule", "runs_run", "runs_attempt", "runs_schedulerollup")
DUE = 50
# A batch with the newest runs of its schedules, or as far as the admin counts (5,000): no share of the table.
MOST_ROWS_READ = 5_500
PAGES = (
    "runs",
    "runs?limit=10&cursor={cursor}",
    "runs?status=failed",
    "runs?status=success,failed",
    "runs?status=running",
    "runs?status=cancelled",
    "runs?trigger=schedule",
    "runs?trigger=manual",
    "runs?error_type=server_error",
    "runs?error_type=dns",
    "runs?dead=true",
    "runs?dead=false",
    "runs?schedule_id={schedule}",
    "runs?target_id={target}",
    "runs?target_id={unused}",
    "runs?schedule_id={schedule}&status=failed",
    "runs?start_time={at}",
    "runs?end_time=2000-01-01T00:00:00Z",
    "runs/{run}",
    "schedules/{schedule}",
    "schedules/{schedule}/explain?at={at}",
    "health",
)
ADMIN_PAGES = (
    "",
    "runs/run/",
    "runs/run/?dead=true",
    "runs/run/?status__exact=cancelled",
    "runs/run/?trigger__exact=manual",
    "runs/run/?final_error_type__exact=dns",
    "runs/run/?q={run}",
    "runs/run/?q=idle",
    "runs/run/{run}/change/",
)


@pytest.fixture
def work() -> None:
    """Ten days of work behind it."""
    for number in range(8):
        make_target(name=f"Target {number}")
    with connection.cursor() as cursor:
        fill(cursor, idle=IDLE, past=PAST)
        cursor.execute(f"ANALYZE {', '.join(TABLES)}, targets_target, runs_minuterollup")


@pytest.fixture
def past(work: None) -> None:
    """The same, and statistics of a million rows in each of the large tables."""
    scale_statistics(TABLES, MILLION)


def too_much_read(work: Callable[[], object], *but: str) -> list[str]:
    """Statements that `work` sends and that read a large table from end to end, or a good part of it."""
    with every_plan() as plans:
        work()
    assert plans
    tables = set(TABLES) - set(but)
    scans = {f"Seq Scan {table}" for table in tables}
    return [
        f"{plan.nodes} {dict(plan.rows_read)}: {plan.sql[:300]}"
        for plan in plans
        if scans & set(plan.nodes) or any(plan.rows_read.get(table, 0) > MOST_ROWS_READ for table in tables)
    ]


def places() -> dict[str, object]:
    """What the addresses of pages name."""
    some = Run.objects.order_by("-id")[5]
    at = f"{some.scheduled_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    cursor = Cursor("older", some.id).encode()
    # One that no Run belongs to: every search for it that doesn't know so looks at all.
    unused = make_target(name="Unused").id
    named = {"run": some.id, "schedule": some.schedule_id, "target": some.target_id, "unused": unused}
    return {**named, "at": at, "cursor": cursor}


def make_due() -> None:
    """Fifty schedules are due."""
    chosen = Schedule.objects.order_by("id").values_list("id", flat=True)[:DUE]
    Schedule.objects.filter(id__in=list(chosen)).update(next_run_at=database_now())


def test_enqueueing_reads_indexes(past: None) -> None:
    make_due()
    assert too_much_read(lambda: enqueue_due(database_now(), poll_seconds=1)) == []
    assert Run.objects.filter(status="pending").count() == DUE


def test_claiming_and_recording_read_indexes(past: None) -> None:
    make_due()
    now = database_now()
    enqueue_due(now, poll_seconds=1)

    def work() -> None:
        tickets = claim_ready(now=now, worker_id=uuid4(), seats=FakeSeats(full={uuid4()}))
        hand_back(tickets[:5], now=now)
        outcome = Outcome(ErrorType.NONE, status_code=200, latency_ms=12.0, response_body="{}")
        failed = Outcome(ErrorType.SERVER_ERROR, status_code=503, latency_ms=12.0)
        results = [Result(ticket, outcome if n % 2 else failed, now, now) for n, ticket in enumerate(tickets[5:])]
        assert record_results(results, now=now) == DUE - 5

    assert too_much_read(work) == []


def make_all_due() -> None:
    """All that is done is still to be done, and the statistics don't know it: to them next to nothing waits."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE runs_run SET status = 'pending', completed_at = NULL, next_attempt_at = scheduled_at")
        cursor.execute("UPDATE schedules_schedule SET status = 'active', next_run_at = %s", [database_now()])


@pytest.fixture
def backlog(past: None) -> None:
    """A backlog among a million rows."""
    make_all_due()


@pytest.fixture
def burst(work: None) -> None:
    """A backlog in tables of a size at which sorting it costs as much as following the index, by wrong statistics.

    Which of the two is taken depends on the history of the indexes, unless sorting is made to look cheaper.
    """
    make_all_due()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL random_page_cost = 1000")


def test_claiming_from_a_long_backlog_reads_a_batch_and_no_more(burst: None) -> None:
    with every_plan() as plans:
        claimed = claim_ready(now=database_now(), worker_id=uuid4(), seats=FakeSeats())
    assert claimed
    assert max(plan.rows_read.get("runs_run", 0) for plan in plans) <= 2 * len(claimed)


def test_enqueueing_from_a_long_backlog_reads_a_batch_and_no_more(burst: None) -> None:
    with every_plan() as plans:
        assert enqueue_due(database_now(), poll_seconds=1, limit=DUE) == DUE
    assert max(plan.rows_read.get("schedules_schedule", 0) for plan in plans) <= 2 * DUE


def test_looking_for_what_comes_next_reads_indexes(past: None) -> None:
    work = lambda: (next_due_moments(), next_ready_moments([uuid4()]))  # noqa: E731
    assert too_much_read(work) == []


@pytest.mark.parametrize("waiting", ["past", "backlog"])
def test_rescuing_the_runs_of_a_dead_worker_reads_indexes(waiting: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(waiting)
    make_due()
    now, dead = database_now(), uuid4()
    register(worker_id=dead, kind="worker", seats=100, lease_seconds=30, now=now)  # type: ignore[arg-type]
    enqueue_due(now, poll_seconds=1)
    claim_ready(now=now, worker_id=dead, seats=FakeSeats())
    later = now + timedelta(minutes=5)
    assert too_much_read(lambda: rescue_dead_workers(now=later)) == []
    assert Run.objects.filter(status="running").count() == 0


def test_housekeeping_reads_indexes(past: None) -> None:
    # Later, so that there is something old to remove, to clear and to fold.
    later = database_now() + timedelta(days=6)
    assert too_much_read(lambda: [chore.work(now=later) for chore in chores()]) == []


def test_pages_and_single_looks_read_indexes(past: None) -> None:
    client, named = key_client("read"), places()
    bad: dict[str, list[str]] = {}
    for page in PAGES:
        address = f"/api/v1/{page.format(**named)}"
        bad[page] = too_much_read(partial(client.get, address))
        assert client.get(address).status_code in (200, 503), page
    assert {page: statements for page, statements in bad.items() if statements} == {}


def test_pages_of_schedules_read_indexes_but_for_their_count(past: None) -> None:
    client, named = key_client("read"), places()
    for page in ("schedules", "schedules?offset=100", "schedules?target_id={unused}"):
        much = too_much_read(partial(client.get, f"/api/v1/{page.format(**named)}"))
        assert [statement for statement in much if "COUNT(*)" not in statement] == [], page


def test_metrics_never_read_runs(past: None) -> None:
    client = key_client("read")
    # Schedules are counted by status: that is all of them.
    for path in ("metrics", "metrics/prometheus"):
        assert too_much_read(partial(client.get, f"/api/v1/{path}"), "schedules_schedule") == []


def test_the_admin_reads_indexes_of_runs(past: None) -> None:
    client, named = Client(), places()
    client.force_login(User.objects.create_superuser("ada"))
    bad: dict[str, list[str]] = {}
    for page in ADMIN_PAGES:
        address = f"/admin/{page.format(**named)}"
        bad[page] = too_much_read(partial(client.get, address), "schedules_schedule")
        assert client.get(address).status_code == 200, page
    assert {page: statements for page, statements in bad.items() if statements} == {}
