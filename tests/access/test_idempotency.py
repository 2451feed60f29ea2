"""Idempotency keys."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier

import pytest
from django.db import connection

from access.idempotency import (
    Claim,
    KeptAnswer,
    KeyReused,
    StillInFlight,
    claim_key,
    forget_old,
    give_back,
    is_kept,
    keep_answer,
)
from access.models import IdempotentRequest
from tests.factories import NOW

pytestmark = pytest.mark.django_db
ANSWER = KeptAnswer(201, '{"id": 1}', {"ETag": '"abc"'})
MINUTE = timedelta(minutes=1)


def ask(*, owner: str = "key:1", key: str = "k", fingerprint: str = "f", now: datetime = NOW) -> Claim | KeptAnswer:
    return claim_key(owner=owner, key=key, fingerprint=fingerprint, now=now)


def claimed(now: datetime = NOW) -> Claim:
    found = ask(now=now)
    assert isinstance(found, Claim)
    return found


def test_the_first_request_may_act() -> None:
    assert isinstance(ask(), Claim)


def test_a_repetition_gets_the_kept_answer() -> None:
    assert keep_answer(claim=claimed(), answer=ANSWER)
    assert ask(now=NOW + MINUTE) == ANSWER


def test_a_repetition_in_flight_has_to_wait() -> None:
    claimed()
    with pytest.raises(StillInFlight):
        ask(now=NOW + 5 * MINUTE)


def test_another_request_with_the_same_key_is_refused() -> None:
    claim = claimed()
    with pytest.raises(KeyReused):
        ask(fingerprint="other")
    keep_answer(claim=claim, answer=ANSWER)
    with pytest.raises(KeyReused):
        ask(fingerprint="other")


def test_owners_do_not_share_keys() -> None:
    claimed()
    assert isinstance(ask(owner="key:2"), Claim)


def test_a_key_given_back_is_free_again() -> None:
    give_back(claim=claimed())
    assert isinstance(ask(fingerprint="other"), Claim)


def test_a_request_that_died_in_flight_is_taken_over_after_five_minutes() -> None:
    dead = claimed()
    later = NOW + 5 * MINUTE + timedelta(microseconds=1)
    heir = claimed(now=later)
    assert not keep_answer(claim=dead, answer=KeptAnswer(200, "late"))
    give_back(claim=dead)
    assert keep_answer(claim=heir, answer=ANSWER)
    assert ask(now=later) == ANSWER


def test_of_two_heirs_one_acts() -> None:
    claimed()
    later = NOW + 6 * MINUTE
    claimed(now=later)
    with pytest.raises(StillInFlight):
        ask(now=later + timedelta(seconds=1))


def test_a_day_later_the_key_is_free_even_before_the_row_is_gone() -> None:
    keep_answer(claim=claimed(), answer=ANSWER)
    assert ask(now=NOW + timedelta(hours=24)) == ANSWER
    assert isinstance(ask(now=NOW + timedelta(hours=24, seconds=1), fingerprint="other"), Claim)


@pytest.mark.parametrize(
    ("status", "kept"),
    [
        (200, True),
        (204, True),
        (404, True),
        (422, True),
        (401, False),
        (403, False),
        (409, False),
        (429, False),
        (500, False),
        (503, False),
    ],
)
def test_passing_conditions_are_not_kept(status: int, kept: bool) -> None:
    assert is_kept(status) is kept


def test_it_forgets_what_is_older_than_a_day_in_batches() -> None:
    for number in range(3):
        ask(key=f"old {number}", now=NOW - timedelta(hours=25))
    ask(key="young", now=NOW - timedelta(hours=23))
    assert [forget_old(now=NOW, limit=2) for _ in range(3)] == [2, 1, 0]
    assert [row.key for row in IdempotentRequest.objects.all()] == ["young"]


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_exactly_one_acts() -> None:
    count = 8
    start = Barrier(count)

    def racer(_: int) -> str:
        try:
            start.wait()
            return type(ask()).__name__
        except StillInFlight:
            return "StillInFlight"
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        outcomes = sorted(pool.map(racer, range(count)))
    assert outcomes == ["Claim"] + ["StillInFlight"] * (count - 1)


@pytest.mark.django_db(transaction=True)
def test_of_many_heirs_at_once_exactly_one_takes_over() -> None:
    ask()
    count = 8
    start = Barrier(count)

    def heir(number: int) -> str:
        try:
            start.wait()
            return type(ask(now=NOW + 6 * MINUTE + timedelta(microseconds=number))).__name__
        except StillInFlight:
            return "StillInFlight"
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        outcomes = sorted(pool.map(heir, range(count)))
    assert outcomes == ["Claim"] + ["StillInFlight"] * (count - 1)
