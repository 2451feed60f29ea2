"""Guarantees G1, G2, G3, G5 and G7: what enqueue makes of due times, alone and against rivals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import Sum

from runs.claim import claim_ready
from runs.enqueue import enqueue_due
from runs.identity import scheduled_run_id
from runs.models import Run, Trigger
from runs.rescue import rescue_orphans
from schedules.fire_plan import MAX_RUNS_PER_PASS
from schedules.models import Schedule
from tests.factories import NOW, make_run, make_schedule, make_target
from tests.guarantees.rivals import OpenTransaction, at_once, second_party, wait_for_lock_waits
from tests.worker.workers import failing_database
from worker.seats import Seats

pytestmark = pytest.mark.django_db(transaction=True)

DUE = NOW + timedelta(minutes=1)


def every_second(**fields: Any) -> Schedule:
    """A schedule that fires each second after NOW."""
    return make_schedule(interval_seconds=1, next_run_at=NOW + timedelta(seconds=1), **fields)


def test_g1_workers_that_look_at_once_give_each_nominal_time_one_run() -> None:
    target = make_target()
    for _ in range(10):
        make_schedule(target, interval_seconds=1, catch_up="all", overlap_policy="allow",
                      next_run_at=NOW + timedelta(seconds=1))  # fmt: skip

    at_once(lambda number: enqueue_due(NOW + timedelta(seconds=20 + number), poll_seconds=1), 4)
    enqueue_due(NOW + timedelta(seconds=25), poll_seconds=1)

    wanted = {NOW + timedelta(seconds=number) for number in range(1, 26)}
    for schedule in Schedule.objects.all():
        times = list(schedule.runs.values_list("scheduled_at", flat=True))
        assert (len(times), set(times)) == (25, wanted)


def test_g1_the_database_itself_refuses_a_second_run_of_a_nominal_time() -> None:
    schedule = make_schedule(next_run_at=DUE)
    enqueue_due(DUE, poll_seconds=1)
    (run,) = Run.objects.all()

    assert (run.trigger, run.id) == (Trigger.SCHEDULE, scheduled_run_id(schedule.id, DUE))
    with pytest.raises(IntegrityError), transaction.atomic():
        make_run(schedule, id=scheduled_run_id(schedule.id, DUE), scheduled_at=DUE)


@pytest.mark.postgres_only
def test_g1_a_rival_that_ignores_the_row_lock_can_not_double_a_nominal_time() -> None:
    schedule = make_schedule(next_run_at=DUE)
    same = scheduled_run_id(schedule.id, DUE)
    rival = OpenTransaction(lambda: make_run(schedule, id=same, scheduled_at=DUE))

    with rival.begun(), second_party() as start:
        enqueued = start(lambda: enqueue_due(DUE, poll_seconds=1))
        # Its insert has met the rival's, which is not committed yet.
        wait_for_lock_waits()
        rival.commit()
        enqueued.result()

    assert Run.objects.count() == 1
    enqueue_due(DUE + timedelta(minutes=1), poll_seconds=1)
    schedule.refresh_from_db()
    assert (schedule.next_run_at, schedule.last_error) == (DUE + timedelta(minutes=2), "")


def test_g2_a_long_outage_is_counted_tick_by_tick_within_the_limits_of_a_pass() -> None:
    every_second(catch_up="latest", misfire_grace_seconds=60)
    now = NOW + timedelta(seconds=25_000)
    ticks = []
    while enqueue_due(now, poll_seconds=1):
        rows = list(Run.objects.values_list("missed_ticks", "status"))
        ticks.append(sum(missed + (status == "pending") for missed, status in rows))

    assert ticks == [10_000, 20_000, 25_000]
    last = Run.objects.get(status="pending")
    assert last.scheduled_at == now
    gaps = Run.objects.filter(status="skipped").order_by("reason").values_list("reason")
    assert list(gaps.annotate(ticks=Sum("missed_ticks"))) == [("coalesced", 60), ("misfire", 24_939)]


def test_g2_everything_within_grace_runs_a_hundred_runs_a_pass() -> None:
    every_second(catch_up="all", overlap_policy="allow", misfire_grace_seconds=3600)
    now = NOW + timedelta(seconds=250)
    made: list[int] = []
    while enqueue_due(now, poll_seconds=1):
        made.append(Run.objects.count() - sum(made))

    assert made == [MAX_RUNS_PER_PASS, MAX_RUNS_PER_PASS, 50]
    assert set(Run.objects.values_list("status", flat=True)) == {"pending"}


@pytest.mark.parametrize("statement", ['INSERT INTO "runs_run"', 'UPDATE "schedules_schedule"', "runs_minuterollup"])
def test_g3_an_enqueue_that_breaks_off_leaves_nothing_and_the_next_loses_nothing(statement: str) -> None:
    schedule = make_schedule(next_run_at=DUE, catch_up="latest")
    now = DUE + timedelta(minutes=3)
    with failing_database(OperationalError("gone"), when=lambda sql: statement in sql), pytest.raises(OperationalError):
        enqueue_due(now, poll_seconds=1)
    schedule.refresh_from_db()
    assert (Run.objects.count(), schedule.next_run_at) == (0, DUE)

    enqueue_due(now, poll_seconds=1)
    schedule.refresh_from_db()
    ticks = sum(run.missed_ticks or 1 for run in Run.objects.all())
    assert (ticks, schedule.next_run_at) == (4, DUE + timedelta(minutes=4))


def test_g5_a_schedule_that_raises_anything_is_held_back_and_every_other_fires_in_the_same_pass() -> None:
    cron: dict[str, Any] = {
        "schedule_type": "cron",
        "interval_seconds": None,
        "cron_expression": "* * * * *",
        "next_run_at": DUE,
    }
    poison = make_schedule(timezone="Not/AZone", **cron)
    healthy = [make_schedule(poison.target, **cron) for _ in range(20)]
    enqueue_due(DUE, poll_seconds=1)

    assert set(Run.objects.values_list("schedule_id", flat=True)) == {schedule.id for schedule in healthy}
    poison.refresh_from_db()
    assert "Not/AZone" in poison.last_error
    assert (poison.status, poison.next_run_at, poison.held_until) == ("active", DUE, DUE + timedelta(minutes=1))


def test_g5_a_schedule_that_never_fires_again_ends_as_expired() -> None:
    schedule = make_schedule(next_run_at=DUE, expires_at=DUE + timedelta(seconds=59))
    enqueue_due(DUE, poll_seconds=1)
    schedule.refresh_from_db()
    assert (schedule.status, schedule.next_run_at, schedule.runs.count()) == ("expired", None, 1)


def test_g7_a_crash_neither_leaks_nor_sticks_the_overlap() -> None:
    """G7: who runs is read from the rows, so the orphan's end is all that the next tick needs."""
    schedule = make_schedule(next_run_at=DUE, overlap_policy="skip", on_worker_lost="fail")
    dead = uuid4()
    outcomes = []
    for number in range(4):
        now = DUE + timedelta(minutes=number)
        if number == 2:
            # The worker that claimed the first run has died; until here nobody could know.
            assert rescue_orphans([dead], now=now) == 1
        enqueue_due(now, poll_seconds=1)
        outcomes.append(schedule.runs.get(scheduled_at=now).status)
        if number == 0:
            assert len(claim_ready(now=now, worker_id=dead, seats=Seats(5))) == 1

    assert outcomes == ["pending", "skipped", "pending", "skipped"]
