"""Lock-out after failed sign-ins: counted for an account from an address, and for an address whatever the account.

An attempt is counted before the password is looked at and given back when it was right, so that attempts sent at the
same moment can't exceed the limits. Nothing depends on whether the account exists. An account is never locked for other
addresses than the one that failed: nobody can lock others out.
"""

from __future__ import annotations

import ipaddress
import math
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils.crypto import salted_hmac

from access.client_address import parsed_address
from access.models import LoginFailure

# Failures within the window that lock, and for how long.
WINDOW = timedelta(minutes=15)
LOCKED_FOR = timedelta(minutes=15)
MOST_FOR_ACCOUNT = 5
MOST_FOR_ADDRESS = 30
# One customer's IPv6 network is one address.
IPV6_PREFIX = 64


class LockedOut(Exception):
    """Too many failures; `retry_after`: seconds until the next attempt counts."""

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        minutes = math.ceil(retry_after / 60)
        super().__init__(f"Too many failed sign-ins. Try again in {minutes} minute{'' if minutes == 1 else 's'}.")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in that is being judged. `last`: the next failure of this account or address is refused unseen."""

    subjects: tuple[str, ...]
    last: bool


def begin_attempt(*, username: str, address: str, known: bool, now: datetime) -> Attempt:
    """Count an attempt.

    Args:
        username: as it was typed.
        address: where it comes from.
        known: whether there is such a user; only then the name is kept, for the operator's list. Others may be
            passwords that somebody typed into the wrong field.
        now: the present moment.

    Raises:
        LockedOut: there were too many failures before; nothing is counted then.
    """
    network = network_of(address)
    subjects = {
        _hashed("account", username.casefold(), network): (MOST_FOR_ACCOUNT, username if known else ""),
        _hashed("address", network): (MOST_FOR_ADDRESS, ""),
    }
    last = False
    with transaction.atomic():
        rows = [_locked_row(subject, name, network, now) for subject, (_, name) in sorted(subjects.items())]
        waits = [row.locked_until - now for row in rows if row.locked_until and row.locked_until > now]
        if waits:
            raise LockedOut(math.ceil(max(waits).total_seconds()))
        for row in rows:
            if row.locked_until or now - row.first_at > WINDOW:
                row.failures, row.first_at, row.locked_until = 0, now, None
            row.failures += 1
            row.last_at = now
            if row.failures >= subjects[row.subject][0]:
                row.locked_until, last = now + LOCKED_FOR, True
            row.save(update_fields=["failures", "first_at", "last_at", "locked_until"])
    return Attempt(tuple(subjects), last)


def succeed(attempt: Attempt) -> None:
    """The password was right: the account starts anew, the address gets this attempt back."""
    account, address = attempt.subjects
    with transaction.atomic():
        LoginFailure.objects.filter(subject=account).delete()
        LoginFailure.objects.filter(subject=address, failures__gt=0).update(
            failures=F("failures") - 1, locked_until=None
        )


def unlock(rows: QuerySet[LoginFailure]) -> int:
    """Forget these failures; how many rows."""
    return rows.delete()[0]


def forget_old(*, now: datetime, limit: int = 500) -> int:
    """Delete up to `limit` rows that no longer count; how many."""
    old = LoginFailure.objects.filter(last_at__lt=now - max(WINDOW, LOCKED_FOR)).order_by("last_at")
    ids = list(old.values_list("pk", flat=True)[:limit])
    return LoginFailure.objects.filter(pk__in=ids).delete()[0] if ids else 0


def _locked_row(subject: str, username: str, network: str, now: datetime) -> LoginFailure:
    locked = LoginFailure.objects.select_for_update(no_key=True).filter(subject=subject)
    row = locked.first()
    if row is None:
        with suppress(IntegrityError), transaction.atomic():  # somebody else may make it in this moment
            LoginFailure.objects.create(subject=subject, username=username, address=network, first_at=now, last_at=now)
        row = locked.get()
    return row


def network_of(address: str) -> str:
    """What is counted as one address: an IPv4 address, an IPv6 /64."""
    parsed = parsed_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False))
    return str(parsed or address)


def _hashed(*parts: str) -> str:
    return salted_hmac("access.lockout", "\0".join(parts), algorithm="sha256").hexdigest()
