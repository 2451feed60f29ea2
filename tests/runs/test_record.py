"""Recording outcomes (guarantee G11)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from runs.models import Attempt, MinuteRollup, Run, ScheduleRollup
from runs.outcome import ErrorType, Outcome, Timings
from runs.record import record_results
from runs.rescue import rescue_orphans
from tests.factories import NOW, make_run, make_schedule, make_target
from tests.runs.conftest import (
    NOT_FOUND,
    SUCCESS,
    TIMED_OUT,
    UNAVAILABLE,
    WORKER,
    claim,
    claim_one,
    record,
    result_of,
)

pytestmark = pytest.mark.django_db


def test_a_success_ends_the_run_and_closes_the_attempt() -> None:
    run = make_run()
    assert record(claim_one()) == 1
    run.refresh_from_db()
    assert (run.status, run.final_status_code, run.final_error_type) == ("success", 200, "none")
    assert (run.completed_at, run.worker_id) == (NOW + timedelta(milliseconds=20), None)


def test_the_attempt_keeps_the_whole_response() -> None:
    run = make_run()
    outcome = Outcome(
        ErrorType.NONE,
        latency_ms=12.5,
        status_code=201,
        response_headers={"Content-Type": "text/plain"},
        response_body="ü" * 10,
        response_truncated=True,
        response_size_bytes=2**33,
        timings=Timings(dns_ms=1, total_ms=12.5),
        remote_ip="192.0.2.7",
    )
    record(claim_one(), outcome)
    attempt = Attempt.objects.get(run=run)
    assert (attempt.status_code, attempt.latency_ms, attempt.response_body) == (201, 12.5, "ü" * 10)
    assert (attempt.response_headers, attempt.response_truncated) == ({"Content-Type": "text/plain"}, True)
    assert (attempt.response_size_bytes, attempt.remote_ip) == (2**33, "192.0.2.7")
    assert attempt.timings == {"dns_ms": 1, "connect_ms": None, "tls_ms": None, "ttfb_ms": None, "total_ms": 12.5}


def test_a_server_error_is_retried_after_the_delay() -> None:
    run = make_run()
    record(claim_one(), UNAVAILABLE)
    run.refresh_from_db()
    assert (run.status, run.attempt_count, run.final_error_type) == ("retrying", 1, "none")
    ended_at = NOW + timedelta(milliseconds=10)
    assert run.next_attempt_at is not None
    assert timedelta(seconds=1) <= run.next_attempt_at - ended_at <= timedelta(seconds=1.1)


@pytest.mark.parametrize("name", ["Retry-After", "retry-after", "Retry-after", "RETRY-AFTER"])
def test_retry_after_is_honoured_in_any_spelling(name: str) -> None:
    run = make_run()
    record(claim_one(), replace(UNAVAILABLE, response_headers={"Date": "now", name: "120"}))
    run.refresh_from_db()
    assert run.next_attempt_at == NOW + timedelta(seconds=120, milliseconds=10)


def test_a_client_error_ends_the_run_at_once() -> None:
    run = make_run()
    record(claim_one(), NOT_FOUND)
    run.refresh_from_db()
    assert (run.status, run.final_error_type, run.final_status_code) == ("failed", "client_error", 404)
    assert run.final_error_message == "The target answered 404. This kind of failure is not retried."


def test_a_run_whose_last_attempt_timed_out_is_a_timeout() -> None:
    run = make_run(make_schedule(max_retries=0))
    record(claim_one(), TIMED_OUT)
    run.refresh_from_db()
    assert (run.status, run.final_error_type) == ("timeout", "timeout")


def test_the_last_try_ends_the_run() -> None:
    run = make_run(make_schedule(max_retries=1))
    record(claim_one(), UNAVAILABLE)
    later = NOW + timedelta(minutes=1)
    record(claim_one(later), UNAVAILABLE, later)
    run.refresh_from_db()
    assert (run.status, run.attempt_count) == ("failed", 2)
    assert run.final_error_message == "The target answered 503. No retries are left."


def test_attempts_are_numbered_without_holes() -> None:
    run = make_run(make_schedule(max_retries=2))
    for minute in range(3):
        moment = NOW + timedelta(minutes=minute)
        record(claim_one(moment), UNAVAILABLE, moment)
    assert list(run.attempts.values_list("attempt_number", flat=True)) == [1, 2, 3]


def test_a_late_result_is_kept_as_fenced_and_changes_nothing_else() -> None:
    run = make_run(make_schedule(on_worker_lost="fail"))
    ticket = claim_one()
    rescue_orphans([WORKER], now=NOW + timedelta(minutes=1))
    counted = MinuteRollup.objects.count()
    assert record(ticket) == 0
    run.refresh_from_db()
    attempt = Attempt.objects.get(run=run)
    assert (run.status, run.final_error_type) == ("failed", "worker_lost")
    assert (attempt.fenced, attempt.status_code, attempt.error_type) == (True, 200, "worker_lost")
    assert MinuteRollup.objects.count() == counted


def test_a_late_result_does_not_touch_the_attempt_that_followed() -> None:
    run = make_run(make_schedule(on_worker_lost="retry", retry_delay_seconds=0))
    late = claim_one()
    later = NOW + timedelta(minutes=1)
    rescue_orphans([WORKER], now=later)
    current = claim_one(later)
    assert (record(late), record(current, SUCCESS, later)) == (0, 1)
    first, second = run.attempts.all()
    assert ((first.fenced, first.error_type), (second.fenced, second.error_type)) == (
        (True, "worker_lost"),
        (False, "none"),
    )


def test_a_result_written_twice_counts_once() -> None:
    run = make_run()
    ticket = claim_one()
    assert (record(ticket), record(ticket, NOT_FOUND)) == (1, 0)
    run.refresh_from_db()
    assert run.status == "success"
    assert MinuteRollup.objects.get(kind="status").count == 1


def test_a_result_that_comes_again_after_an_unconfirmed_commit_is_not_late() -> None:
    run = make_run()
    ticket = claim_one()
    record(ticket)
    record(ticket)
    attempt = Attempt.objects.get(run=run)
    assert (attempt.fenced, attempt.error_type) == (False, "none")


def test_a_call_in_flight_while_its_target_is_deleted_is_neither_retried_nor_counted() -> None:
    run = make_run()
    ticket = claim_one()
    run.target.deleted_at = NOW
    run.target.save(update_fields=["deleted_at"])
    record(ticket, UNAVAILABLE)
    assert Run.with_deleted.get(id=run.id).status == "failed"
    assert not MinuteRollup.objects.exists()


def test_lateness_is_counted_for_the_first_attempt_of_a_scheduled_run() -> None:
    make_run()
    record(claim_one(), SUCCESS, NOW + timedelta(seconds=2))
    lateness = MinuteRollup.objects.filter(kind="lateness", count__gt=0)
    assert sum(cell.total for cell in lateness) == pytest.approx(2.0)


def test_manual_runs_have_no_lateness() -> None:
    make_run(trigger="manual")
    record(claim_one())
    assert not MinuteRollup.objects.filter(kind="lateness").exists()


def test_the_schedule_remembers_its_last_outcome() -> None:
    run = make_run()
    record(claim_one(), NOT_FOUND)
    rollup = ScheduleRollup.objects.get(schedule=run.schedule)
    assert (rollup.total_runs, rollup.failed_runs, rollup.last_status) == (1, 1, "failed")
    assert rollup.last_error_type == "client_error"


def test_a_response_that_the_database_refuses_is_recorded_without_its_body() -> None:
    good, bad = make_run(), make_run()
    tickets = {ticket.run_id: ticket for ticket in claim()}
    # An impossible status code stands for whatever slips through the executor.
    poison = result_of(tickets[bad.id], replace(SUCCESS, response_headers={"X": "\x00"}, response_body="\x00"))
    assert record_results([result_of(tickets[good.id]), poison], now=NOW) == 2
    assert set(Run.objects.values_list("status", flat=True)) == {"success"}


def test_a_batch_takes_a_constant_number_of_queries(django_assert_max_num_queries: Any) -> None:
    schedule = make_schedule(make_target())
    for age in range(50):
        make_run(schedule, scheduled_at=NOW - timedelta(seconds=age))
    results = [result_of(ticket) for ticket in claim()]
    with django_assert_max_num_queries(8):
        assert record_results(results, now=NOW) == 50


def test_a_result_for_a_purged_run_is_dropped_quietly() -> None:
    run = make_run()
    ticket = claim_one()
    Attempt.objects.filter(run=run).delete()
    Run.objects.filter(id=run.id).delete()
    assert record(replace(ticket, run_id=uuid4())) == 0
