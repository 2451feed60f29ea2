"""Claims that were committed although nobody learned of it."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from runs.claim import claim_ready
from runs.models import Attempt, Run
from tests.factories import NOW, make_run
from worker.lost_claims import hand_back_lost_claims
from worker.seats import Seats

WORKER = uuid4()

pytestmark = pytest.mark.django_db


def test_a_run_held_without_a_ticket_goes_back_as_if_it_had_never_been_claimed() -> None:
    run = make_run()
    claim_ready(now=NOW, worker_id=WORKER, seats=Seats(10))

    assert hand_back_lost_claims(worker_id=WORKER, known=(), since=NOW, now=NOW) == 1

    run.refresh_from_db()
    assert (run.status, run.attempt_count, run.worker_id) == ("pending", 0, None)
    assert not Attempt.objects.exists()


def test_what_the_worker_has_a_ticket_for_stays() -> None:
    make_run()
    (ticket,) = claim_ready(now=NOW, worker_id=WORKER, seats=Seats(10))

    assert hand_back_lost_claims(worker_id=WORKER, known={ticket.attempt_id}, since=NOW, now=NOW) == 0
    assert Run.objects.get().status == "running"


def test_what_others_hold_and_what_was_claimed_earlier_stays() -> None:
    make_run()
    claim_ready(now=NOW, worker_id=uuid4(), seats=Seats(10))
    make_run()
    claim_ready(now=NOW, worker_id=WORKER, seats=Seats(10))

    later = NOW + timedelta(seconds=1)
    assert hand_back_lost_claims(worker_id=WORKER, known=(), since=later, now=later) == 0
    assert hand_back_lost_claims(worker_id=uuid4(), known=(), since=NOW, now=later) == 0
    assert set(Run.objects.values_list("status", flat=True)) == {"running"}
