"""Runs whose worker died."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from runs.models import Attempt, Run
from runs.rescue import may_resend, rescue_orphans
from tests.factories import NOW, make_run, make_schedule, make_target
from tests.runs.conftest import UNAVAILABLE, WORKER, claim, claim_one, record

LATER = NOW + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("policy", "method", "resent"),
    [
        ("auto", "GET", True),
        ("auto", "HEAD", True),
        ("auto", "OPTIONS", True),
        ("auto", "PUT", True),
        ("auto", "DELETE", True),
        ("auto", "POST", False),
        ("auto", "PATCH", False),
        ("retry", "POST", True),
        ("fail", "GET", False),
    ],
)
def test_only_idempotent_methods_are_resent_unless_the_schedule_says_otherwise(
    policy: str, method: str, resent: bool
) -> None:
    assert may_resend(policy, method) is resent


@pytest.mark.django_db
def test_an_orphan_that_may_be_resent_is_retried_and_its_attempt_says_why() -> None:
    run = make_run(make_schedule(make_target(method="GET")))
    claim_one()
    assert rescue_orphans([WORKER], now=LATER) == 1
    run.refresh_from_db()
    attempt = Attempt.objects.get(run=run)
    assert (run.status, run.attempt_count, run.worker_id) == ("retrying", 1, None)
    assert (attempt.completed_at, attempt.error_type) == (LATER, "worker_lost")
    assert attempt.error_message.endswith("It is sent again, because on_worker_lost is auto and GET is idempotent.")


@pytest.mark.django_db
def test_an_orphan_that_may_not_be_resent_fails_and_is_never_claimed_again() -> None:
    run = make_run(make_schedule(make_target(method="POST")))
    claim_one()
    rescue_orphans([WORKER], now=LATER)
    run.refresh_from_db()
    assert (run.status, run.final_error_type) == ("failed", "worker_lost")
    assert run.final_error_message.endswith(
        "It is not sent again, because on_worker_lost is auto and POST is not idempotent."
    )
    assert claim(NOW + timedelta(days=1)) == []


@pytest.mark.django_db
def test_a_lost_worker_uses_up_one_try() -> None:
    run = make_run(make_schedule(max_retries=1))
    record(claim_one(), UNAVAILABLE)
    claim_one(LATER)
    rescue_orphans([WORKER], now=LATER)
    run.refresh_from_db()
    assert (run.status, run.attempt_count) == ("failed", 2)
    assert run.final_error_message.endswith("No retries are left.")


@pytest.mark.django_db
def test_runs_of_other_workers_are_left_alone() -> None:
    run = make_run()
    claim_one()
    assert rescue_orphans([uuid4()], now=LATER) == 0
    run.refresh_from_db()
    assert run.status == "running"


@pytest.mark.django_db
def test_the_token_rises_so_that_the_dead_workers_result_comes_too_late() -> None:
    run = make_run()
    ticket = claim_one()
    rescue_orphans([WORKER], now=LATER)
    assert Run.objects.get(id=run.id).token == ticket.token + 1


@pytest.mark.django_db
def test_a_test_call_is_not_repeated() -> None:
    run = make_run()
    Run.objects.filter(id=run.id).update(schedule=None, trigger="test")
    claim_one()
    rescue_orphans([WORKER], now=LATER)
    run.refresh_from_db()
    assert (run.status, run.final_error_type) == ("failed", "worker_lost")


@pytest.mark.django_db
def test_at_most_limit_runs_are_resolved_in_one_batch() -> None:
    schedule = make_schedule()
    for age in range(5):
        make_run(schedule, scheduled_at=NOW - timedelta(seconds=age))
    claim()
    assert [rescue_orphans([WORKER], now=LATER, limit=3) for _ in range(3)] == [3, 2, 0]


@pytest.mark.django_db
def test_a_run_whose_attempt_row_is_gone_is_resolved_all_the_same() -> None:
    run = make_run()
    claim_one()
    Attempt.objects.filter(run=run).delete()
    assert rescue_orphans([WORKER], now=LATER) == 1
    run.refresh_from_db()
    assert run.status == "retrying"
