"""The arrows between statuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from runs.lifecycle import ARROWS, RunChange, apply_changes, claimed, ended, fenced_off, handed_back, retrying
from runs.models import MinuteRollup, Run, RunStatus
from tests.factories import NOW, make_ended_run, make_run

ALLOWED = {
    ("pending", "running"),
    ("pending", "cancelled"),
    ("retrying", "running"),
    ("retrying", "cancelled"),
    ("running", "success"),
    ("running", "failed"),
    ("running", "timeout"),
    ("running", "retrying"),
    ("running", "pending"),
}
ALL_PAIRS = [(source, goal) for source in RunStatus for goal in RunStatus]


def as_written(run: Run) -> RunChange:
    return RunChange(
        run=run, status=RunStatus(run.status), token=run.token, attempt_count=run.attempt_count, started_at=None
    )


def test_the_arrows_are_those_of_the_documentation() -> None:
    assert {(source.value, goal.value) for source, goals in ARROWS.items() for goal in goals} == ALLOWED


@pytest.mark.django_db
@pytest.mark.parametrize(("source", "goal"), [pair for pair in ALL_PAIRS if pair not in ALLOWED])
def test_every_other_arrow_is_refused(source: RunStatus, goal: RunStatus) -> None:
    run = Run(id=uuid4(), status=source)
    with pytest.raises(ValueError, match=f"can't go from {source} to {goal}"):
        apply_changes([replace(as_written(run), status=goal)], now=NOW)


@pytest.mark.django_db
def test_a_claim_counts_the_attempt_and_raises_the_token() -> None:
    run = make_run(token=4)
    worker = uuid4()
    with transaction.atomic():
        apply_changes([claimed(run, worker_id=worker, now=NOW)], now=NOW)
    run.refresh_from_db()
    assert (run.status, run.token, run.worker_id, run.attempt_count) == ("running", 5, worker, 1)
    assert (run.started_at, run.next_attempt_at) == (NOW, None)


@pytest.mark.django_db
def test_a_second_claim_keeps_the_first_start() -> None:
    run = make_run(status="retrying", started_at=NOW - timedelta(minutes=1), attempt_count=1)
    with transaction.atomic():
        apply_changes([claimed(run, worker_id=uuid4(), now=NOW)], now=NOW)
    run.refresh_from_db()
    assert (run.started_at, run.attempt_count) == (NOW - timedelta(minutes=1), 2)


@pytest.mark.django_db
def test_a_step_with_an_old_token_changes_nothing_and_counts_nothing() -> None:
    run = make_run(status="running", worker_id=uuid4(), token=1, attempt_count=1)
    Run.objects.filter(id=run.id).update(token=2)
    with transaction.atomic():
        assert apply_changes([ended(run, RunStatus.SUCCESS, at=NOW)], now=NOW) == set()
    run.refresh_from_db()
    assert (run.status, MinuteRollup.objects.count()) == ("running", 0)


@pytest.mark.django_db
def test_a_retry_keeps_the_token_and_lets_go_of_the_worker() -> None:
    run = make_run(status="running", worker_id=uuid4(), token=1, attempt_count=1)
    with transaction.atomic():
        apply_changes([retrying(run, at=NOW + timedelta(seconds=2))], now=NOW)
    run.refresh_from_db()
    assert (run.status, run.token, run.worker_id) == ("retrying", 1, None)
    assert run.next_attempt_at == NOW + timedelta(seconds=2)


@pytest.mark.django_db
def test_a_fenced_step_raises_the_token() -> None:
    run = make_run(status="running", worker_id=uuid4(), token=1, attempt_count=1)
    with transaction.atomic():
        apply_changes([fenced_off(retrying(run, at=NOW))], now=NOW)
    run.refresh_from_db()
    assert run.token == 2


@pytest.mark.django_db
@pytest.mark.parametrize(("attempts", "status", "started"), [(1, "pending", None), (2, "retrying", NOW)])
def test_a_handed_back_claim_leaves_no_trace(attempts: int, status: str, started: object) -> None:
    run = make_run(status="running", worker_id=uuid4(), token=3, attempt_count=attempts, started_at=NOW)
    with transaction.atomic():
        apply_changes([handed_back(run, due_at=NOW)], now=NOW)
    run.refresh_from_db()
    assert (run.status, run.attempt_count, run.token, run.started_at) == (status, attempts - 1, 4, started)


@pytest.mark.django_db
def test_a_run_that_ends_is_counted_once() -> None:
    run = make_run(status="running", worker_id=uuid4(), token=1, attempt_count=1)
    with transaction.atomic():
        apply_changes([ended(run, RunStatus.SUCCESS, at=NOW, status_code=200, latency_ms=30)], now=NOW)
    cell = MinuteRollup.objects.get(kind="status")
    assert (cell.label, cell.count) == ("success", 1)


@pytest.mark.django_db
def test_a_run_of_a_deleted_target_ends_uncounted() -> None:
    run = make_run(status="running", worker_id=uuid4(), token=1, attempt_count=1)
    run.target.deleted_at = NOW
    run.target.save(update_fields=["deleted_at"])
    with transaction.atomic():
        apply_changes([ended(run, RunStatus.SUCCESS, at=NOW)], now=NOW)
    assert not MinuteRollup.objects.exists()


@pytest.mark.django_db
def test_the_database_refuses_a_final_run_without_an_end() -> None:
    run = make_ended_run()
    with pytest.raises(IntegrityError), transaction.atomic():
        Run.objects.filter(id=run.id).update(completed_at=None)
