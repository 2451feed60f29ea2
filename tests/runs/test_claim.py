"""Claiming Runs and opening their attempts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from cryptography.fernet import Fernet
from django.db import transaction

from runs.models import Attempt, Run
from runs.outcome import Outcome
from targets.request_spec import RequestSpec
from tests.factories import NOW, make_ended_run, make_run, make_schedule, make_target
from tests.runs.conftest import WORKER, FakeSeats, claim, claim_one

pytestmark = pytest.mark.django_db


def test_a_due_run_is_claimed_with_an_open_attempt() -> None:
    run = make_run()
    ticket = claim_one()
    attempt = Attempt.objects.get(run=run)
    assert (ticket.run_id, ticket.attempt_id, ticket.attempt_number) == (run.id, attempt.id, 1)
    assert (attempt.completed_at, attempt.token, attempt.worker_id) == (None, ticket.token, WORKER)


def test_a_run_that_is_not_due_yet_is_left_alone() -> None:
    make_run(scheduled_at=NOW + timedelta(milliseconds=1))
    assert claim() == []


def test_a_claimed_run_is_not_claimed_again() -> None:
    make_run()
    claim_one()
    assert claim() == []


def test_the_longest_waiting_run_comes_first() -> None:
    schedule = make_schedule()
    late, early = (make_run(schedule, scheduled_at=NOW - timedelta(seconds=age)) for age in (1, 9))
    assert [ticket.run_id for ticket in claim(seats=FakeSeats(seats=1))] == [early.id]
    assert [ticket.run_id for ticket in claim()] == [late.id]


def test_no_more_is_claimed_than_there_are_seats() -> None:
    schedule = make_schedule()
    for age in range(5):
        make_run(schedule, scheduled_at=NOW - timedelta(seconds=age))
    assert len(claim(seats=FakeSeats(seats=3))) == 3


def test_without_a_free_seat_the_database_is_not_asked(django_assert_num_queries: Any) -> None:
    make_run()
    with django_assert_num_queries(0):
        assert claim(seats=FakeSeats(seats=0)) == []


def test_a_target_that_has_its_share_leaves_the_seats_to_others() -> None:
    slow = make_schedule()
    for age in range(4):
        make_run(slow, scheduled_at=NOW - timedelta(seconds=10 + age))
    other = make_run()
    seats = FakeSeats(seats=5, share=2)
    first = claim(seats=seats)
    seats.full.add(slow.target_id)
    second = claim(seats=seats)
    assert {ticket.target_id for ticket in [*first, *second]} == {slow.target_id, other.target_id}
    assert seats.taken == {slow.target_id: 2, other.target_id: 1}


def test_the_url_of_the_target_is_passed_to_the_seat_keeper() -> None:
    make_run(make_schedule(make_target(url="https://host.example/{{run_id}}")))
    seats = FakeSeats()
    claim(seats=seats)
    assert seats.urls == ["https://host.example/{{run_id}}"]


def test_max_concurrency_of_the_target_is_passed_to_the_seat_keeper() -> None:
    schedule = make_schedule(make_target(max_concurrency=1))
    make_run(schedule)
    make_run(schedule, scheduled_at=NOW - timedelta(seconds=1))
    assert len(claim()) == 1


def test_a_queued_run_waits_for_its_predecessor() -> None:
    schedule = make_schedule(overlap_policy="queue")
    first = make_run(schedule, scheduled_at=NOW - timedelta(seconds=9))
    make_run(schedule, queued=True)
    assert [ticket.run_id for ticket in claim()] == [first.id]
    assert claim() == []
    assert Run.with_deleted.next_ready_at() is None


def test_a_queued_run_starts_when_its_predecessor_has_ended() -> None:
    schedule = make_schedule(overlap_policy="queue")
    make_ended_run(schedule, scheduled_at=NOW - timedelta(seconds=9))
    queued = make_run(schedule, queued=True)
    assert [ticket.run_id for ticket in claim()] == [queued.id]


def test_runs_of_a_deleted_target_are_cancelled_instead_of_sent() -> None:
    run = make_run()
    run.target.deleted_at = NOW
    run.target.save(update_fields=["deleted_at"])
    assert claim() == []
    ended = Run.with_deleted.get(id=run.id)
    assert (ended.status, ended.reason) == ("cancelled", "deleted")


def test_the_ticket_carries_the_finished_request() -> None:
    schedule = make_schedule(make_target(url="http://127.0.0.1:9/x?run={{run_id}}"))
    run = make_run(schedule)
    request = claim_one().request
    assert isinstance(request, RequestSpec)
    assert request.url == f"http://127.0.0.1:9/x?run={run.id}"
    assert request.headers["Idempotency-Key"] == str(run.id)


def test_secret_headers_are_masked_in_the_stored_request_only() -> None:
    run = make_run(make_schedule(make_target(headers={"Authorization": "Bearer canary", "X-Team": "blue"})))
    request = claim_one().request
    assert isinstance(request, RequestSpec)
    assert request.headers["Authorization"] == "Bearer canary"
    stored = Attempt.objects.get(run=run).request_headers
    assert (stored["Authorization"], stored["X-Team"]) == ("********", "blue")


def test_a_request_that_cannot_be_built_becomes_a_template_error_to_record() -> None:
    make_run(make_schedule(make_target(body_template="{{nonsense}}")))
    request = claim_one().request
    assert isinstance(request, Outcome)
    assert request.error_type == "template"


def test_a_target_that_cannot_be_decrypted_fails_its_own_run_only(settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    lost = make_run()
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    fine = make_run()
    requests = {ticket.run_id: ticket.request for ticket in claim()}
    assert isinstance(requests[fine.id], RequestSpec)
    refused = requests[lost.id]
    assert isinstance(refused, Outcome)
    assert "FIELD_ENCRYPTION_KEYS" in refused.error_message


def test_the_ticket_remembers_when_the_attempt_was_due() -> None:
    make_run(next_attempt_at=NOW - timedelta(seconds=3))
    assert claim_one().due_at == NOW - timedelta(seconds=3)


def test_claiming_a_batch_takes_a_constant_number_of_queries(django_assert_max_num_queries: Any) -> None:
    schedule = make_schedule()
    for age in range(50):
        make_run(schedule, scheduled_at=NOW - timedelta(seconds=age))
    with django_assert_max_num_queries(10):
        assert len(claim()) == 50


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_g23_no_more_runs_are_read_and_locked_than_there_are_seats(other_connection: psycopg.Connection[Any]) -> None:
    """Of a backlog of a million, too."""
    for _ in range(5):
        make_run(make_schedule(overlap_policy="allow"))
    with transaction.atomic():
        assert len(claim(seats=FakeSeats(seats=2))) == 2
        left = other_connection.execute("SELECT id FROM runs_run FOR UPDATE SKIP LOCKED").fetchall()
    assert len(left) == 3


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_a_run_locked_by_another_worker_is_passed_over(other_connection: psycopg.Connection[Any]) -> None:
    schedule = make_schedule()
    locked = make_run(schedule, scheduled_at=NOW - timedelta(seconds=9))
    free = make_run(schedule)
    other_connection.execute("SELECT 1 FROM runs_run WHERE id = %s FOR NO KEY UPDATE", [locked.id])
    assert [ticket.run_id for ticket in claim()] == [free.id]


@pytest.mark.django_db(transaction=True)
def test_the_database_allows_one_open_attempt_per_run() -> None:
    from django.db import IntegrityError

    run = make_run()
    claim_one()
    with pytest.raises(IntegrityError):
        Attempt.objects.create(
            id=uuid4(), run=run, attempt_number=2, token=2, worker_id=WORKER, started_at=NOW, created_at=NOW
        )
