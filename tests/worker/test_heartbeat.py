"""The heartbeat: the lease in the database, the trust in it, and the right to call others dead."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

import pytest
from django.db import OperationalError

from schedules.clock import database_now
from tests.factories import NOW
from tests.guarantees.rivals import PATIENCE_SECONDS
from tests.worker.workers import Monotonic, failing_database
from worker.heartbeat import Heartbeat
from worker.models import WorkerProcess
from worker.presence import deregister

LEASE = 30.0
BEAT = LEASE / 3

# A failed beat closes its connection: these tests can't live inside one transaction.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def monotonic() -> Monotonic:
    """A clock that stands still."""
    return Monotonic()


@pytest.fixture
def heartbeat(monotonic: Monotonic) -> Heartbeat:
    """Of a worker that has not registered yet."""
    return Heartbeat(lease_seconds=LEASE, seats=7, monotonic=monotonic)


def beat_for(heartbeat: Heartbeat, monotonic: Monotonic, seconds: float) -> None:
    """Heartbeats on time for `seconds`."""
    for _ in range(round(seconds / BEAT)):
        monotonic.pass_seconds(BEAT)
        assert heartbeat.beat()


def test_the_first_beat_registers_the_worker(heartbeat: Heartbeat) -> None:
    assert heartbeat.beat()

    row = WorkerProcess.objects.get()
    assert (row.id, row.kind, row.seats, row.draining) == (heartbeat.worker_id, "worker", 7, False)
    assert row.lease_until - row.last_seen_at == timedelta(seconds=LEASE)
    assert abs(row.last_seen_at - database_now()) < timedelta(minutes=1)


def test_g21_the_lease_ends_by_the_databases_clock(heartbeat: Heartbeat, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine takes the time for is in no row."""
    for moment in (NOW, NOW + timedelta(seconds=BEAT)):
        monkeypatch.setattr("worker.heartbeat.database_now", lambda moment=moment: moment)
        heartbeat.beat()
        row = WorkerProcess.objects.get()
        assert (row.last_seen_at, row.lease_until) == (moment, moment + timedelta(seconds=LEASE))


def test_a_further_beat_renews_the_same_row(heartbeat: Heartbeat) -> None:
    heartbeat.beat()
    before = WorkerProcess.objects.get()
    heartbeat.beat()

    after = WorkerProcess.objects.get()
    assert after.id == before.id
    assert after.lease_until > before.lease_until
    assert after.started_at == before.started_at


def test_every_start_has_an_id_of_its_own() -> None:
    assert Heartbeat(lease_seconds=LEASE, seats=1).worker_id != Heartbeat(lease_seconds=LEASE, seats=1).worker_id


def test_g17_it_trusts_the_lease_for_one_lease_counted_from_before_the_statement(
    heartbeat: Heartbeat, monotonic: Monotonic
) -> None:
    def takes_two_seconds(_sql: str) -> bool:
        monotonic.pass_seconds(2)
        return False

    assert not heartbeat.trusted()
    started = monotonic()
    with failing_database(OperationalError(), when=takes_two_seconds):
        heartbeat.beat()

    monotonic.value = started + LEASE
    assert heartbeat.trusted()
    monotonic.pass_seconds(0.001)
    assert not heartbeat.trusted()


def test_g17_what_was_claimed_under_an_id_that_was_given_up_is_never_trusted_again(heartbeat: Heartbeat) -> None:
    heartbeat.beat()
    former = heartbeat.worker_id
    assert heartbeat.trusted(former)
    WorkerProcess.objects.all().delete()
    heartbeat.beat()

    assert heartbeat.trusted()
    assert heartbeat.trusted(heartbeat.worker_id)
    assert not heartbeat.trusted(former)


def test_a_failed_beat_neither_raises_nor_extends_the_trust(heartbeat: Heartbeat, monotonic: Monotonic) -> None:
    heartbeat.beat()
    monotonic.pass_seconds(BEAT)
    with failing_database(OperationalError("gone")):
        assert not heartbeat.beat()

    assert heartbeat.trusted()
    monotonic.pass_seconds(LEASE - BEAT + 0.001)
    assert not heartbeat.trusted()


def test_g20_the_thread_goes_on_beating_after_beats_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    heartbeat = Heartbeat(lease_seconds=0.03, seats=1)
    beaten = threading.Semaphore(0)

    def fail() -> bool:
        beaten.release()
        return False

    monkeypatch.setattr(heartbeat, "beat", fail)
    heartbeat.start()
    assert all(beaten.acquire(timeout=PATIENCE_SECONDS) for _ in range(4))
    heartbeat.stop(deregister_row=False)


def test_a_worker_whose_row_is_gone_goes_on_under_a_new_id(heartbeat: Heartbeat) -> None:
    heartbeat.beat()
    first = heartbeat.worker_id
    deregister(worker_id=first)

    assert heartbeat.beat()

    assert heartbeat.worker_id != first
    assert list(WorkerProcess.objects.values_list("id", flat=True)) == [heartbeat.worker_id]


def test_a_registration_whose_answer_was_lost_is_not_a_conflict(heartbeat: Heartbeat, monotonic: Monotonic) -> None:
    twin = Heartbeat(lease_seconds=LEASE, seats=7, monotonic=monotonic)
    twin.lease = heartbeat.lease
    twin.beat()

    assert heartbeat.beat()
    assert WorkerProcess.objects.count() == 1


def test_g16_it_may_rescue_only_after_a_full_lease_of_heartbeats(heartbeat: Heartbeat, monotonic: Monotonic) -> None:
    assert not heartbeat.may_rescue()
    heartbeat.beat()
    beat_for(heartbeat, monotonic, LEASE - BEAT)
    assert not heartbeat.may_rescue()
    beat_for(heartbeat, monotonic, BEAT)
    assert heartbeat.may_rescue()


def test_g16_a_failed_beat_starts_the_count_again(heartbeat: Heartbeat, monotonic: Monotonic) -> None:
    heartbeat.beat()
    beat_for(heartbeat, monotonic, LEASE)
    with failing_database(OperationalError()):
        heartbeat.beat()
    assert not heartbeat.may_rescue()
    assert heartbeat.beat()
    beat_for(heartbeat, monotonic, LEASE - BEAT)
    assert not heartbeat.may_rescue()
    beat_for(heartbeat, monotonic, BEAT)
    assert heartbeat.may_rescue()


def test_g16_a_silence_long_enough_to_end_others_leases_starts_the_count_again(
    heartbeat: Heartbeat, monotonic: Monotonic
) -> None:
    heartbeat.beat()
    beat_for(heartbeat, monotonic, LEASE)
    monotonic.pass_seconds(LEASE * 2 / 3)
    assert not heartbeat.may_rescue(), "the last beat is too old"
    heartbeat.beat()
    assert not heartbeat.may_rescue(), "the gap may have been the database's"


def test_a_late_beat_within_two_thirds_of_a_lease_is_no_interruption(
    heartbeat: Heartbeat, monotonic: Monotonic
) -> None:
    heartbeat.beat()
    beat_for(heartbeat, monotonic, LEASE)
    monotonic.pass_seconds(LEASE / 2)
    heartbeat.beat()
    assert heartbeat.may_rescue()


def test_a_draining_worker_shows_it(heartbeat: Heartbeat) -> None:
    heartbeat.beat()
    heartbeat.drain()
    heartbeat.beat()

    assert WorkerProcess.objects.get().draining


def test_stopping_removes_the_row_when_asked(heartbeat: Heartbeat) -> None:
    heartbeat.beat()
    heartbeat.stop(deregister_row=False)
    assert WorkerProcess.objects.exists()
    heartbeat.stop(deregister_row=True)
    assert not WorkerProcess.objects.exists()


def test_stopping_survives_a_database_that_is_away(heartbeat: Heartbeat) -> None:
    heartbeat.beat()
    with failing_database(OperationalError()):
        heartbeat.stop(deregister_row=True)
    assert WorkerProcess.objects.exists()


def test_trouble_is_logged_once_and_so_is_its_end(heartbeat: Heartbeat, caplog: pytest.LogCaptureFixture) -> None:
    with failing_database(OperationalError()):
        for _ in range(3):
            heartbeat.beat()
    heartbeat.beat()

    caught = [(record.levelno, vars(record)["action"]) for record in caplog.records if "heartbeat" in record.message]
    assert caught == [(logging.ERROR, "heartbeat_failed"), (logging.INFO, "heartbeat_recovered")]


def test_its_age_counts_from_the_last_success(heartbeat: Heartbeat, monotonic: Monotonic) -> None:
    heartbeat.beat()
    monotonic.pass_seconds(4)
    assert heartbeat.seconds_since_beat() == 4
