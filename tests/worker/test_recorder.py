"""Finished calls are kept until they are written, and one that is refused doesn't stop the others."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.db import DataError, OperationalError

from runs.claim import claim_ready
from runs.models import Attempt, Run
from runs.outcome import ErrorType, Outcome
from runs.record import record_results
from runs.tickets import Result, Ticket
from tests.factories import NOW, make_run
from tests.worker.workers import SUCCESS, Monotonic, failing_database
from worker.pool import NOT_SENT, Finished
from worker.recorder import BATCH, Recorder
from worker.seats import Seats
from worker.worker_clock import WorkerClock

WORKER = uuid4()

pytestmark = pytest.mark.django_db


@pytest.fixture
def recorder() -> Recorder:
    """On a clock that shows NOW at monotonic 1000."""
    clock = WorkerClock(monotonic=Monotonic())
    clock.anchor(NOW)
    return Recorder(clock)


def claim(runs: int) -> list[Ticket]:
    """Tickets for that many Runs."""
    for _ in range(runs):
        make_run()
    return claim_ready(now=NOW, worker_id=WORKER, seats=Seats(1000))


def finished(ticket: Ticket, outcome: Outcome = SUCCESS) -> Finished:
    """Started half a second ago, ended a quarter of a second ago."""
    return Finished(ticket, outcome, started=999.5, completed=999.75)


def test_it_places_the_moments_on_the_databases_clock(recorder: Recorder) -> None:
    recorder.keep(map(finished, claim(1)))

    assert recorder.write(NOW) == 1

    attempt = Attempt.objects.get()
    assert attempt.started_at == NOW - timedelta(seconds=0.5)
    assert attempt.completed_at == NOW - timedelta(seconds=0.25)
    assert len(recorder) == 0


def test_what_was_never_sent_is_handed_back(recorder: Recorder) -> None:
    sent, unsent = claim(2)
    recorder.keep([finished(sent), finished(unsent, NOT_SENT)])

    assert recorder.write(NOW) == 2

    assert Run.objects.get(id=sent.run_id).status == "success"
    assert Run.objects.get(id=unsent.run_id).status == "pending"


def test_g23_it_writes_any_number_in_batches(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []

    def note_and_record(results: Sequence[Result], *, now: datetime) -> int:
        batches.append(len(results))
        return record_results(results, now=now)

    monkeypatch.setattr("worker.recorder.record_results", note_and_record)
    recorder.keep(map(finished, claim(BATCH + 1)))

    assert recorder.write(NOW) == BATCH + 1
    assert batches == [BATCH, 1], "a response body may have 100 KB"
    assert set(Run.objects.values_list("status", flat=True)) == {"success"}


def test_g20_everything_stays_held_while_the_database_is_away(recorder: Recorder) -> None:
    tickets = claim(2)
    recorder.keep(map(finished, tickets))

    with failing_database(OperationalError()), pytest.raises(OperationalError):
        recorder.write(NOW)

    assert recorder.held() == {ticket.attempt_id for ticket in tickets}
    assert recorder.oldest_completed() == 999.75


@pytest.mark.parametrize("error", [DataError("refused"), ValueError("a bug")])
def test_a_result_that_is_refused_does_not_stop_the_others(
    recorder: Recorder, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad, other = claim(3)
    poison = Outcome(ErrorType.SERVER_ERROR, "POISON", status_code=500)
    recorder.keep([finished(good), finished(bad, poison), finished(other)])

    with failing_database(error, when_values=lambda values: "POISON" in str(values)):
        assert recorder.write(NOW) == 3

    assert Run.objects.get(id=good.run_id).status == "success"
    assert Run.objects.get(id=other.run_id).status == "success"
    assert len(recorder) == 0
    refused = [record for record in caplog.records if vars(record).get("action") == "result_refused"]
    assert [vars(record)["run"] for record in refused] == [bad.run_id]
    assert refused[0].levelno == logging.ERROR


def test_it_logs_how_many_attempts_ended(recorder: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    recorder.keep(map(finished, claim(1)))
    with caplog.at_level(logging.INFO):
        recorder.write(NOW)
    assert "1 attempt ended" in caplog.messages


def test_nothing_held_is_nothing_written(recorder: Recorder) -> None:
    assert recorder.write(NOW) == 0
    assert recorder.oldest_completed() is None
