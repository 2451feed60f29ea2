"""Lock-out after failed sign-ins: by account and address, and by address (D8)."""

from __future__ import annotations

from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from access.lockout import (
    LOCKED_FOR,
    MOST_FOR_ACCOUNT,
    MOST_FOR_ADDRESS,
    WINDOW,
    LockedOut,
    begin_attempt,
    forget_old,
    succeed,
)
from access.models import AuditEvent, LoginFailure
from tests.factories import NOW

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
HERE, THERE = "192.0.2.7", "192.0.2.8"


def fail(
    times: int = 1, *, username: str = "ada", address: str = HERE, known: bool = True, now: datetime = NOW
) -> None:
    for _ in range(times):
        begin_attempt(username=username, address=address, known=known, now=now)


def is_locked(*, username: str = "ada", address: str = HERE, now: datetime = NOW) -> bool:
    try:
        begin_attempt(username=username, address=address, known=True, now=now)
    except LockedOut:
        return True
    return False


@pytest.mark.parametrize("known", [True, False])
def test_the_failures_of_an_account_lock_it_for_that_address(known: bool) -> None:
    fail(MOST_FOR_ACCOUNT - 1, known=known)
    assert begin_attempt(username="ada", address=HERE, known=known, now=NOW).last
    assert is_locked()
    assert is_locked(username="ADA")
    assert not is_locked(address=THERE)
    assert not is_locked(username="bob")


def test_the_failures_of_an_address_lock_it_for_every_account() -> None:
    for number in range(MOST_FOR_ADDRESS):
        fail(username=f"user{number}")
    assert is_locked(username="somebody else")
    assert not is_locked(address=THERE)


def test_one_ipv6_network_is_one_address() -> None:
    for number in range(MOST_FOR_ADDRESS):
        fail(username=f"user{number}", address=f"2001:db8::{number:x}")
    assert is_locked(username="x", address="2001:db8::ffff:1")
    assert not is_locked(username="x", address="2001:db8:0:1::1")


def test_it_ends_by_itself_and_says_when() -> None:
    fail(MOST_FOR_ACCOUNT)
    with pytest.raises(LockedOut, match=r"Try again in 15 minutes\.") as refusal:
        fail(now=NOW + SECOND / 2)
    assert refusal.value.retry_after == LOCKED_FOR.total_seconds()
    assert is_locked(now=NOW + LOCKED_FOR - SECOND)
    assert not is_locked(now=NOW + LOCKED_FOR)


def test_attempts_while_locked_do_not_make_it_longer() -> None:
    fail(MOST_FOR_ACCOUNT)
    assert is_locked(now=NOW + LOCKED_FOR - SECOND)
    fail(MOST_FOR_ACCOUNT - 1, now=NOW + LOCKED_FOR)
    assert not is_locked(now=NOW + LOCKED_FOR)


def test_old_failures_do_not_count() -> None:
    fail(MOST_FOR_ACCOUNT - 1)
    fail(MOST_FOR_ACCOUNT - 1, now=NOW + WINDOW + SECOND)
    assert not is_locked(now=NOW + WINDOW + SECOND)


def test_a_right_password_starts_the_account_anew_and_costs_the_address_nothing() -> None:
    fail(MOST_FOR_ACCOUNT - 1)
    succeed(begin_attempt(username="ada", address=HERE, known=True, now=NOW))
    assert LoginFailure.objects.get().failures == MOST_FOR_ACCOUNT - 1
    fail(MOST_FOR_ACCOUNT - 1)
    assert not is_locked()


def test_an_own_account_does_not_clear_an_address() -> None:
    for number in range(MOST_FOR_ADDRESS - 1):
        fail(username=f"user{number}")
    succeed(begin_attempt(username="mine", address=HERE, known=True, now=NOW))
    fail(username="one more")
    assert is_locked(username="another")


def test_names_that_nobody_has_are_not_kept() -> None:
    fail(username="hunter2", known=False)
    assert "hunter2" not in str(list(LoginFailure.objects.values()))


def test_what_no_longer_counts_is_forgotten() -> None:
    fail()
    assert forget_old(now=NOW + WINDOW) == 0
    assert forget_old(now=NOW + WINDOW + SECOND, limit=1) == 1
    assert forget_old(now=NOW + WINDOW + SECOND) == 1


@pytest.mark.parametrize(
    ("options", "unlocked"),
    [(["--username", "Ada"], True), (["--address", HERE], True), (["--all"], True), (["--username", "bob"], False)],
)
def test_an_operator_can_unlock(options: list[str], unlocked: bool) -> None:
    fail(MOST_FOR_ACCOUNT)
    out = StringIO()
    call_command("unlock_logins", *options, stdout=out)
    assert "forgotten" in out.getvalue()
    assert is_locked() != unlocked


def test_unlocking_says_how_many_counts_are_gone() -> None:
    fail()
    out = StringIO()
    call_command("unlock_logins", "--username", "ada", stdout=out)
    assert out.getvalue() == "1 count of failed sign-ins forgotten.\n"
    assert AuditEvent.objects.get().detail == "1 count"


@pytest.mark.parametrize("options", [[], ["--all", "--username", "x"]])
def test_unlocking_needs_to_know_whom(options: list[str]) -> None:
    with pytest.raises(CommandError, match="Give one of"):
        call_command("unlock_logins", *options)
