"""Timings in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedules.cron_syntax import InvalidCron, split_fields
from schedules.describe import describe
from schedules.timing import Timing
from tests.schedules.timings import START, cron, every, once

CRONS = [
    ("* * * * *", "every minute"),
    ("*/5 * * * *", "every 5 minutes"),
    ("@hourly", "every hour"),
    ("@Daily", "every day at 00:00"),
    ("30 17 * * *", "every day at 17:30"),
    ("0 9 * * MON-FRI", "at 09:00, Monday through Friday"),
    ("0 0 * * 7", "at 00:00, only on Sunday"),
    ("0 0 1 * *", "at 00:00, on day 1 of the month"),
    ("0 0 1 * 1", "at 00:00, on day 1 of the month, or on Monday"),
    ("0 0 L * *", "at 00:00, on the last day of the month"),
    ("0 0 * * FRI#2", "at 00:00, on the second Friday of the month"),
    ("*/45 * * * *", "at 0 and 45 minutes past the hour"),
    ("0 */5 * * *", "every day at 00:00, 05:00, 10:00, 15:00 and 20:00"),
    ("7/55 * * * *", "at 7 minutes past the hour"),
    # Words for these would say "or" for "and", or nothing for "or".
    ("0 0 */2 * MON", "cron 0 0 */2 * MON"),
    ("0 0 1 * 1-5", "cron 0 0 1 * 1-5"),
]


@pytest.mark.parametrize(("expression", "words"), CRONS)
def test_cron_is_told_in_words_with_its_zone(expression: str, words: str) -> None:
    assert describe(cron(expression, "Asia/Kolkata")) == f"{words} (Asia/Kolkata)"


def test_cron_says_when_it_ends_in_local_time() -> None:
    timing = cron("@daily", "Asia/Kolkata", expires_at=datetime(2026, 12, 31, 18, 30, tzinfo=UTC))

    assert describe(timing) == "every day at 00:00 (Asia/Kolkata) until 1 January 2027 at 00:00"


def test_an_end_beyond_the_local_calendar_is_told_in_utc() -> None:
    timing = cron("@daily", "Asia/Kolkata", expires_at=datetime.max.replace(tzinfo=UTC))

    assert describe(timing) == "every day at 00:00 (Asia/Kolkata) until 31 December 9999 at 23:59:59"


@pytest.mark.parametrize(
    ("timing", "words"),
    [
        (every(1), "every second"),
        (every(10), "every 10 seconds"),
        (every(60), "every minute"),
        (every(300), "every 5 minutes"),
        (every(90), "every 1 minute and 30 seconds"),
        (every(3_600), "every hour"),
        (every(86_400), "every day"),
        (every(90_061), "every 1 day, 1 hour, 1 minute and 1 second"),
        (every(366 * 86_400), "every 366 days"),
        (every(10, expires_at=START + timedelta(minutes=5)), "every 10 seconds for 5 minutes"),
        (every(10, expires_at=START + timedelta(hours=1)), "every 10 seconds for 1 hour"),
        (every(10, expires_at=START + timedelta(seconds=70.5)), "every 10 seconds for 1 minute and 10 seconds"),
        (every(10, expires_at=START), "every 10 seconds for 0 seconds"),
        (once(START, timezone="Asia/Kolkata"), "once on 1 March 2026 at 17:30 (Asia/Kolkata)"),
        (once(START + timedelta(seconds=5), timezone="UTC"), "once on 1 March 2026 at 12:00:05 (UTC)"),
    ],
)
def test_intervals_and_once_are_told_in_words(timing: Timing, words: str) -> None:
    assert describe(timing) == words


def test_an_expression_that_is_not_accepted_stands_as_it_is() -> None:
    """An old row must not break a list."""
    assert describe(cron("not a cron", "UTC")) == "cron not a cron (UTC)"


FIELD = st.from_regex(r"(\*|[1-6](-[5-6])?)(/[1-6])?(,[0-6])?", fullmatch=True)


@settings(max_examples=150, deadline=None)
@given(st.lists(FIELD, min_size=5, max_size=5).map(" ".join))
def test_whatever_is_accepted_can_be_told(expression: str) -> None:
    words = describe(cron(expression))

    assert words.endswith(" (UTC)")
    try:
        split_fields(expression)
    except InvalidCron:
        assert words == f"cron {expression} (UTC)"
