"""Handing claims back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from runs.handback import hand_back
from runs.models import Attempt
from tests.factories import NOW, make_run
from tests.runs.conftest import UNAVAILABLE, claim_one, record

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(minutes=1)


def test_a_first_attempt_goes_back_to_pending_without_a_trace() -> None:
    run = make_run()
    assert hand_back([claim_one()], now=LATER) == 1
    run.refresh_from_db()
    assert (run.status, run.attempt_count, run.started_at, run.next_attempt_at) == ("pending", 0, None, NOW)
    assert not Attempt.objects.exists()


def test_a_later_attempt_goes_back_to_retrying() -> None:
    run = make_run()
    record(claim_one(), UNAVAILABLE)
    hand_back([claim_one(LATER)], now=LATER)
    run.refresh_from_db()
    assert (run.status, run.attempt_count, run.attempts.count()) == ("retrying", 1, 1)


def test_the_next_claim_uses_the_same_number_again() -> None:
    make_run()
    hand_back([claim_one()], now=LATER)
    assert claim_one(LATER).attempt_number == 1


def test_a_result_that_follows_a_hand_back_is_ignored() -> None:
    run = make_run()
    ticket = claim_one()
    hand_back([ticket], now=LATER)
    assert record(ticket) == 0
    run.refresh_from_db()
    assert run.status == "pending"


def test_a_ticket_that_was_recorded_is_passed_over() -> None:
    make_run()
    ticket = claim_one()
    record(ticket)
    assert hand_back([ticket], now=LATER) == 0
