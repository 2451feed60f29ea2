"""The retry decision (guarantee G14)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.outcome import ErrorType
from runs.retry import GiveUp, RetryAt, RetryPolicy, backoff, decide, is_retried, parse_retry_after

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
POLICY = RetryPolicy(max_retries=3, delay_seconds=1, max_delay_seconds=3600)


def wait_after(attempts_made: int, *, retry_after: str | None = None, policy: RetryPolicy = POLICY) -> timedelta:
    decision = decide(
        policy,
        attempts_made=attempts_made,
        error_type=ErrorType.SERVER_ERROR,
        status_code=503,
        retry_after=retry_after,
        ended_at=NOW,
        jitter=0,
    )
    assert isinstance(decision, RetryAt)
    return decision.moment - NOW


def test_waits_double_from_the_first_delay() -> None:
    assert [wait_after(made).total_seconds() for made in (1, 2, 3)] == [1, 2, 4]


def test_it_gives_up_when_the_retries_are_used() -> None:
    decision = decide(
        POLICY,
        attempts_made=4,
        error_type=ErrorType.TIMEOUT,
        status_code=None,
        retry_after=None,
        ended_at=NOW,
        jitter=0,
    )
    assert decision == GiveUp("No retries are left.")


@pytest.mark.parametrize(
    ("error_type", "status_code", "retried"),
    [
        (ErrorType.TIMEOUT, None, True),
        (ErrorType.DNS, None, True),
        (ErrorType.CONNECTION, None, True),
        (ErrorType.BAD_RESPONSE, None, True),
        (ErrorType.BAD_RESPONSE, 200, True),
        (ErrorType.SERVER_ERROR, 500, True),
        (ErrorType.SERVER_ERROR, 503, True),
        (ErrorType.WORKER_LOST, None, True),
        (ErrorType.CLIENT_ERROR, 408, True),
        (ErrorType.CLIENT_ERROR, 425, True),
        (ErrorType.CLIENT_ERROR, 429, True),
        (ErrorType.CLIENT_ERROR, 400, False),
        (ErrorType.CLIENT_ERROR, 404, False),
        (ErrorType.SSL, None, False),
        (ErrorType.REDIRECT, 302, False),
        (ErrorType.BLOCKED, None, False),
        (ErrorType.TEMPLATE, None, False),
        (ErrorType.UNEXPECTED_RESPONSE, 200, False),
        (ErrorType.UNKNOWN, None, False),
    ],
)
def test_only_failures_that_may_pass_are_retried(error_type: ErrorType, status_code: int | None, retried: bool) -> None:
    assert is_retried(error_type, status_code) is retried


@given(
    st.builds(
        RetryPolicy,
        max_retries=st.integers(0, 100),
        delay_seconds=st.floats(0, 86_400),
        max_delay_seconds=st.floats(0, 86_400),
    ),
    st.integers(1, 10_000),
    st.floats(0, 1),
)
def test_a_wait_never_passes_the_cap_and_its_jitter(policy: RetryPolicy, retry: int, jitter: float) -> None:
    wait = backoff(policy, retry, jitter).total_seconds()
    assert 0 <= wait <= policy.max_delay_seconds * 1.1 + 1e-6


@given(st.integers(1, 200), st.floats(0, 1))
def test_waits_without_jitter_never_shrink(retry: int, jitter: float) -> None:
    assert backoff(POLICY, retry, 0) <= backoff(POLICY, retry + 1, 0)
    assert backoff(POLICY, retry, 0) <= backoff(POLICY, retry, jitter)


def test_jitter_is_kept_at_the_cap() -> None:
    assert backoff(POLICY, 50, 1).total_seconds() == pytest.approx(3960)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("0", 0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        ("Tue, 10 Mar 2026 12:00:30 -0000", 30),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("99999999999999999999", None),
        ("٣", None),
        (format_datetime(NOW - timedelta(seconds=1), usegmt=True), None),
        ("Mon, 99 Foo 2026 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_as_rfc_9110_says_and_junk_is_ignored(value: str | None, seconds: int | None) -> None:
    wait = parse_retry_after(value, NOW)
    assert wait == (None if seconds is None else timedelta(seconds=seconds))


@given(st.text(max_size=40))
def test_no_retry_after_header_raises(value: str) -> None:
    assert parse_retry_after(value, NOW) is None or parse_retry_after(value, NOW) >= timedelta(0)  # type: ignore[operator]


def test_a_longer_retry_after_wins_over_the_backoff() -> None:
    assert wait_after(1, retry_after="40") == timedelta(seconds=40)


def test_a_shorter_retry_after_does_not_shorten_the_backoff() -> None:
    assert wait_after(3, retry_after="1") == timedelta(seconds=4)


@pytest.mark.parametrize(("cap", "expected"), [(10, 3600), (7200, 7200)])
def test_retry_after_is_capped_at_an_hour_or_at_the_larger_cap(cap: int, expected: int) -> None:
    policy = RetryPolicy(max_retries=3, delay_seconds=1, max_delay_seconds=cap)
    assert wait_after(1, retry_after="999999", policy=policy) == timedelta(seconds=expected)
