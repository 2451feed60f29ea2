"""Moments as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler_project.rfc3339 import EARLIEST, LATEST, format_moment, parse_moment, parse_query_moment

ZONES = ["UTC", "Asia/Kolkata", "America/New_York", "Pacific/Kiritimati", "Etc/GMT+12", "Africa/Monrovia"]
MOMENTS = st.datetimes(EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-10T17:30:00+05:30", datetime(2026, 3, 10, 12, tzinfo=UTC)),
        ("2026-03-10t12:00:00z", datetime(2026, 3, 10, 12, tzinfo=UTC)),
        ("2026-03-10T12:00:00.5Z", datetime(2026, 3, 10, 12, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-03-10T12:00:00.1234567899Z", datetime(2026, 3, 10, 12, 0, 0, 123_456, tzinfo=UTC)),
        ("2026-03-10T00:30:00-23:59", datetime(2026, 3, 11, 0, 29, tzinfo=UTC)),
    ],
)
def test_it_reads_what_rfc_3339_allows(text: str, moment: datetime) -> None:
    assert parse_moment(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-03-10",
        "2026-03-10T12:00Z",
        "2026-03-10 12:00:00Z",
        "2026-3-10T12:00:00Z",
        "2026-03-10T12:00:00+0530",
        "2026-03-10T12:00:00+5:30",
        "2026-02-30T12:00:00Z",
        "2026-03-10T24:00:00Z",
        "2026-12-31T23:59:60Z",
        "2026-03-10T12:00:00+24:00",
        "2026-03-10T12:00:00+05:60",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "0001-01-01T23:59:59Z",
        "9999-12-31T00:00:00Z",
        "9999-12-31T23:59:59-12:00",
        "10000-01-01T00:00:00Z",
        "\uff12\uff10\uff12\uff16-03-10T12:00:00Z",
        "2026-03-10T12:00:00Z\n",
        "1773144000",
    ],
)
def test_it_refuses_everything_else(text: str) -> None:
    with pytest.raises(ValueError, match=r"(?i)must"):
        parse_moment(text)


def test_it_asks_for_the_offset_that_is_missing() -> None:
    with pytest.raises(ValueError, match="offset"):
        parse_moment("2026-03-10T12:00:00")


def test_in_a_query_a_space_is_the_plus_sign_it_was() -> None:
    assert parse_query_moment("2026-03-10T17:30:00 05:30") == datetime(2026, 3, 10, 12, tzinfo=UTC)


@given(MOMENTS, st.sampled_from(ZONES))
def test_what_is_shown_reads_back_as_the_same_moment(moment: datetime, zone: str) -> None:
    assert parse_moment(format_moment(moment, ZoneInfo(zone))) == moment


def test_it_shows_the_zone_with_its_offset() -> None:
    shown = format_moment(datetime(2026, 3, 10, 12, tzinfo=UTC), ZoneInfo("Asia/Kolkata"))
    assert shown == "2026-03-10T17:30:00+05:30"


def test_it_shows_offsets_with_seconds_in_utc() -> None:
    moment = datetime(1850, 1, 1, 12, tzinfo=UTC)
    assert format_moment(moment, timezone(timedelta(hours=5, minutes=53, seconds=28))) == "1850-01-01T12:00:00+00:00"
