"""Idempotency keys: the same POST sent twice acts once and answers twice the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, models, transaction

from access.models import IdempotentRequest

KEPT_FOR = timedelta(hours=24)
# A request that has been in flight for longer died with its process: its key is free again.
IN_FLIGHT_FOR = timedelta(minutes=5)
# Passing conditions, no verdicts on the request: sent again, it may well succeed.
NOT_KEPT = frozenset({401, 403, 409, 429})


class KeyReused(Exception):
    """The key belongs to another request."""


class StillInFlight(Exception):
    """The first request with this key has not been answered yet."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to act on a key: whoever holds it must `keep_answer` or `give_back`."""

    row_id: int
    claimed_at: datetime


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What the first request was answered."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)


def claim_key(*, owner: str, key: str, fingerprint: str, now: datetime) -> Claim | KeptAnswer:
    """The right to act, or the answer that was given before. Committed at once: the next one must see it.

    Args:
        owner: whose key it is; two clients' keys never meet.
        fingerprint: what was asked, hashed (at most 64 characters).

    Raises:
        KeyReused: the key was used for something else.
        StillInFlight: the same request is being worked on.
    """
    try:
        with transaction.atomic():
            row = IdempotentRequest.objects.create(owner=owner, key=key, fingerprint=fingerprint, created_at=now)
    except IntegrityError:
        found = IdempotentRequest.objects.filter(owner=owner, key=key).first()
        if found is None:  # given back in this very moment
            raise StillInFlight from None
        return _answer_of(found, fingerprint, now)
    return Claim(row.pk, now)


def keep_answer(*, claim: Claim, answer: KeptAnswer) -> bool:
    """Store the answer for those who repeat the request; False if the claim was taken over meanwhile."""
    values = {"status_code": answer.status, "headers": answer.headers, "body": answer.body}
    return _held(claim).update(**values) == 1


def give_back(*, claim: Claim) -> None:
    """Free the key: the request came to nothing that a repetition should be told."""
    _held(claim).delete()


def is_kept(status: int) -> bool:
    """Whether an answer with this status is the answer to repetitions, too."""
    return status < 500 and status not in NOT_KEPT


def forget_old(*, now: datetime, limit: int = 500) -> int:
    """Delete at most `limit` requests older than `KEPT_FOR`; how many."""
    old = IdempotentRequest.objects.filter(created_at__lt=now - KEPT_FOR).order_by("created_at")
    ids = list(old.values_list("pk", flat=True)[:limit])
    return IdempotentRequest.objects.filter(pk__in=ids).delete()[0] if ids else 0


def _answer_of(found: IdempotentRequest, fingerprint: str, now: datetime) -> Claim | KeptAnswer:
    age = now - found.created_at
    if age > KEPT_FOR or (found.status_code is None and age > IN_FLIGHT_FOR):
        return _take_over(found, fingerprint, now)
    if found.fingerprint != fingerprint:
        raise KeyReused
    if found.status_code is None:
        raise StillInFlight
    return KeptAnswer(found.status_code, found.body, found.headers)


def _take_over(found: IdempotentRequest, fingerprint: str, now: datetime) -> Claim:
    # Compare and swap: of several who find the same stale row, one gets it.
    same = IdempotentRequest.objects.filter(pk=found.pk, created_at=found.created_at)
    unanswered: dict[str, Any] = {"status_code": None, "headers": {}, "body": ""}
    if not same.update(fingerprint=fingerprint, created_at=now, **unanswered):
        raise StillInFlight
    return Claim(found.pk, now)


def _held(claim: Claim) -> models.QuerySet[IdempotentRequest]:
    return IdempotentRequest.objects.filter(pk=claim.row_id, created_at=claim.claimed_at, status_code__isnull=True)
