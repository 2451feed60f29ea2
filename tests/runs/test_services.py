"""Run now, replay, cancel, resolve, test."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import transaction

from runs.errors import WrongState
from runs.models import Attempt, Run
from runs.services import cancel_run, open_test_run, replay_run, resolve_run, run_now
from schedules.models import Schedule
from targets.models import Target
from tests.factories import NOW, make_ended_run, make_run, make_schedule, make_target
from tests.runs.conftest import claim, claim_one, record

pytestmark = pytest.mark.django_db


def test_run_now_creates_a_manual_run_that_is_due_at_once() -> None:
    schedule = make_schedule(status="paused", next_run_at=None)
    run = run_now(schedule_id=schedule.id, now=NOW)
    assert (run.trigger, run.status, run.scheduled_at, run.next_attempt_at) == ("manual", "pending", NOW, NOW)
    assert [ticket.run_id for ticket in claim()] == [run.id]


def test_run_now_does_not_count_towards_max_runs() -> None:
    schedule = make_schedule(max_runs=1)
    run_now(schedule_id=schedule.id, now=NOW)
    schedule.refresh_from_db()
    assert schedule.run_count == 0


def test_run_now_of_a_deleted_schedule_is_not_found() -> None:
    schedule = make_schedule(deleted_at=NOW)
    with pytest.raises(Schedule.DoesNotExist):
        run_now(schedule_id=schedule.id, now=NOW)


@pytest.mark.parametrize("status", ["success", "failed", "timeout", "skipped", "cancelled"])
def test_any_ended_run_can_be_replayed(status: str) -> None:
    original = make_ended_run(status=status)
    run = replay_run(run_id=original.id, now=NOW + timedelta(hours=1))
    assert (run.trigger, run.replay_of, run.scheduled_at) == ("replay", original.id, NOW + timedelta(hours=1))
    assert (run.schedule_id, run.target_id) == (original.schedule_id, original.target_id)
    assert run.id != original.id


@pytest.mark.parametrize("status", ["pending", "retrying"])
def test_a_run_that_has_not_ended_cannot_be_replayed(status: str) -> None:
    run = make_run(status=status)
    with pytest.raises(WrongState, match=f"The run is {status}"):
        replay_run(run_id=run.id, now=NOW)


def test_the_replay_of_a_test_call_runs_without_a_schedule() -> None:
    ticket = open_test_run(target_id=make_target().id, worker_id=uuid4(), now=NOW)
    record(ticket)
    run = replay_run(run_id=ticket.run_id, now=NOW)
    assert (run.schedule_id, claim_one().run_id) == (None, run.id)


@pytest.mark.parametrize("status", ["pending", "retrying"])
def test_a_waiting_run_can_be_cancelled(status: str) -> None:
    run = cancel_run(run_id=make_run(status=status).id, now=NOW)
    assert (run.status, run.completed_at, run.next_attempt_at) == ("cancelled", NOW, None)
    assert claim() == []


@pytest.mark.parametrize("status", ["success", "cancelled", "skipped"])
def test_an_ended_run_cannot_be_cancelled(status: str) -> None:
    run = make_ended_run(status=status)
    with pytest.raises(WrongState):
        cancel_run(run_id=run.id, now=NOW)


def test_a_running_run_cannot_be_cancelled() -> None:
    run = make_run()
    claim_one()
    with pytest.raises(WrongState, match="The run is running"):
        cancel_run(run_id=run.id, now=NOW)


def test_a_resolved_run_is_no_longer_dead() -> None:
    run = make_ended_run(status="failed")
    assert Run.objects.dead().count() == 1
    resolve_run(run_id=run.id, note="paid by hand", now=NOW)
    run.refresh_from_db()
    assert (run.resolved_at, run.resolved_note, Run.objects.dead().count()) == (NOW, "paid by hand", 0)


def test_a_run_is_resolved_once() -> None:
    run = make_ended_run(status="timeout")
    resolve_run(run_id=run.id, note="", now=NOW)
    with pytest.raises(WrongState, match="resolved already"):
        resolve_run(run_id=run.id, note="", now=NOW)


def test_a_success_cannot_be_resolved() -> None:
    run = make_ended_run()
    with pytest.raises(WrongState):
        resolve_run(run_id=run.id, note="", now=NOW)


def test_a_test_call_is_claimed_by_its_caller_from_the_start() -> None:
    holder = uuid4()
    ticket = open_test_run(target_id=make_target().id, worker_id=holder, now=NOW)
    run = Run.objects.get(id=ticket.run_id)
    assert (run.status, run.trigger, run.worker_id, run.schedule_id) == ("running", "test", holder, None)
    assert Attempt.objects.get(run=run).completed_at is None
    assert claim() == []


def test_a_test_call_is_made_once() -> None:
    from tests.runs.conftest import UNAVAILABLE

    ticket = open_test_run(target_id=make_target().id, worker_id=uuid4(), now=NOW)
    record(ticket, UNAVAILABLE)
    run = Run.objects.get(id=ticket.run_id)
    assert (run.status, run.final_error_message) == ("failed", "The target answered 503. Retries are off.")


def test_a_test_call_of_a_deleted_target_is_not_found() -> None:
    with pytest.raises(Target.DoesNotExist):
        open_test_run(target_id=make_target(deleted_at=NOW).id, worker_id=uuid4(), now=NOW)


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres_only
def test_a_schedule_can_not_be_purged_while_it_is_run(other_connection: psycopg.Connection[Any]) -> None:
    schedule = make_schedule()
    purge = "SELECT 1 FROM schedules_schedule WHERE id = %s FOR UPDATE NOWAIT"
    with transaction.atomic():
        run_now(schedule_id=schedule.id, now=NOW)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other_connection.execute(purge, [schedule.id])
