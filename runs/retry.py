"""Retry: one policy value, one pure decision. Two questions are answered here: try again? and when?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from runs.outcome import ErrorType

RETRIED_ERRORS = frozenset(
    {
        ErrorType.TIMEOUT,
        ErrorType.DNS,
        ErrorType.CONNECTION,
        ErrorType.BAD_RESPONSE,
        ErrorType.SERVER_ERROR,
        ErrorType.WORKER_LOST,
    }
)
# Request Timeout, Too Early, Too Many Requests: the target asks for another try.
RETRIED_STATUS_CODES = frozenset({408, 425, 429})
RETRY_AFTER_CAP = timedelta(hours=1)
JITTER_SHARE = 0.1
# 2**40 seconds is past any cap: the exponent stops here before the power is taken.
MAX_EXPONENT = 40


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently. `max_retries` counts tries after the first; delays are in seconds."""

    max_retries: int
    delay_seconds: float
    max_delay_seconds: float


NO_RETRIES = RetryPolicy(max_retries=0, delay_seconds=0, max_delay_seconds=0)


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again, not before this moment."""

    moment: datetime


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The Run has ended; `sentence` says why there is no further try."""

    sentence: str


def is_retried(error_type: ErrorType, status_code: int | None) -> bool:
    """Whether this kind of failure may go away by itself."""
    return error_type in RETRIED_ERRORS or (
        error_type is ErrorType.CLIENT_ERROR and status_code in RETRIED_STATUS_CODES
    )


def backoff(policy: RetryPolicy, retry_number: int, jitter: float) -> timedelta:
    """The wait before retry `retry_number` (1 for the first): doubling, capped, plus up to 10 %.

    Args:
        jitter: a random number from 0 to 1; it is kept at the cap, so that many Runs don't come back as one.
    """
    exponent = min(retry_number - 1, MAX_EXPONENT)
    seconds = min(policy.delay_seconds * 2.0**exponent, policy.max_delay_seconds)
    return timedelta(seconds=seconds * (1 + JITTER_SHARE * jitter))


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """The wait that a Retry-After header asks for (RFC 9110, section 10.2.3: whole seconds or an HTTP date).

    Negative or fractional seconds, moments in the past and anything else are None: as if the header were absent.
    """
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return timedelta(seconds=int(text))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        # "-0000", or a date without a zone: RFC 9110 dates are always GMT.
        moment = moment.replace(tzinfo=UTC)
    return moment - now if moment > now else None


def decide(
    policy: RetryPolicy,
    *,
    attempts_made: int,
    error_type: ErrorType,
    status_code: int | None,
    retry_after: str | None,
    ended_at: datetime,
    jitter: float,
) -> RetryAt | GiveUp:
    """Decide what follows a failed attempt.

    Args:
        attempts_made: attempts so far, the failed one included.
        retry_after: the response's Retry-After header, honoured up to the policy's cap or one hour.
        ended_at: the end of the failed attempt, from which the wait is counted.
        jitter: a random number from 0 to 1.
    """
    if not is_retried(error_type, status_code):
        return GiveUp("This kind of failure is not retried.")
    if attempts_made > policy.max_retries:
        return GiveUp("No retries are left." if policy.max_retries else "Retries are off.")
    wait = backoff(policy, attempts_made, jitter)
    asked = parse_retry_after(retry_after, ended_at)
    if asked is not None:
        cap = max(RETRY_AFTER_CAP, timedelta(seconds=policy.max_delay_seconds))
        wait = max(wait, min(asked, cap))
    return RetryAt(ended_at + wait)
