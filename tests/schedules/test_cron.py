"""Cron fires: the calendar, the clock changes, and two other implementations to compare with."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from cronsim import CronSim
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from schedules import cron, zones
from schedules.cron import cron_fires, parse_cron
from schedules.cron_syntax import InvalidCron
from tests.schedules.dst_table import TABLE

CASES = [(zone, *row) for zone, rows in TABLE.items() for row in rows]
# cronsim walks hour by hour: it goes wrong where clocks change by half an hour, or at a quarter to the hour.
ZONES = sorted(TABLE.keys() - {"Australia/Lord_Howe", "Pacific/Chatham"})


def wall(text: str) -> datetime:
    """A naive time, as clocks show it."""
    return datetime.fromisoformat(text)


def times(expression: str, zone: str, after: datetime, count: int) -> list[datetime]:
    return [fire.at for fire in islice(cron_fires(expression, zone, after), count)]


@pytest.mark.parametrize(("zone", "expression", "after", "fires"), CASES)
def test_it_does_at_a_clock_change_what_debian_cron_does(zone: str, expression: str, after: str, fires: str) -> None:
    expected = fires.split()
    found = times(expression, zone, datetime.fromisoformat(after), len(expected))

    assert [at.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes") for at in found] == expected


@pytest.mark.parametrize(
    ("expression", "fires"),
    [
        ("0 0 29 2 *", ["2028-02-29", "2032-02-29"]),
        ("0 0 31 * *", ["2026-01-31", "2026-03-31", "2026-05-31"]),
        ("0 0 L * *", ["2026-01-31", "2026-02-28", "2026-03-31"]),
        ("0 0 15,L * *", ["2026-01-15", "2026-01-31", "2026-02-15", "2026-02-28"]),
        ("0 0 13 * FRI", ["2026-01-02", "2026-01-09", "2026-01-13", "2026-01-16"]),
        ("0 0 */10 * FRI", ["2026-05-01", "2026-07-31"]),
        ("0 0 13 * */7", ["2026-09-13", "2026-12-13"]),
        ("0 0 * * FRI#1", ["2026-01-02", "2026-02-06"]),
        ("0 0 * * MON#1,WED#3", ["2026-01-05", "2026-01-21", "2026-02-02"]),
        ("0 0 * 2 1#5", ["2044-02-29"]),
        ("0 0 29 2 */7", ["2032-02-29", "2060-02-29", "2088-02-29", "2128-02-29"]),
        ("0 0 * * SAT-SUN", ["2026-01-03", "2026-01-04", "2026-01-10"]),
        ("0 0 * * 7", ["2026-01-04", "2026-01-11"]),
        ("@yearly", ["2027-01-01", "2028-01-01"]),
        ("@weekly", ["2026-01-04", "2026-01-11"]),
    ],
)
def test_it_knows_the_calendar(expression: str, fires: list[str]) -> None:
    found = times(expression, "UTC", datetime(2026, 1, 1, tzinfo=UTC), len(fires))

    assert [f"{at:%Y-%m-%d}" for at in found] == fires


def test_a_last_weekday_of_the_table_is_right() -> None:
    """The dates above were written by hand: the calendar says that they fall on the weekday they should."""
    assert calendar.weekday(2044, 2, 29) == calendar.MONDAY
    assert calendar.weekday(2128, 2, 29) == calendar.SUNDAY
    assert date(2026, 5, 1).isoweekday() == date(2026, 7, 31).isoweekday() == 5


def test_it_is_strict_about_later() -> None:
    noon = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)

    assert times("0 12 * * *", "UTC", noon - timedelta(microseconds=1), 1) == [noon]
    assert times("0 12 * * *", "UTC", noon, 1) == [noon + timedelta(days=1)]
    assert times("0 12 * * *", "UTC", noon + timedelta(seconds=59), 1) == [noon + timedelta(days=1)]


@pytest.mark.parametrize("expression", ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "*/5 0 31 2 *"])
def test_dates_that_never_come_give_no_fires(expression: str) -> None:
    assert times(expression, "Europe/London", datetime(2026, 1, 1, tzinfo=UTC), 1) == []


def test_a_wildcard_job_that_only_names_jumped_over_times_gives_no_fires() -> None:
    """The second Sunday in March, 02:00 to 02:59: New York never has it."""
    assert times("* 2 8-14 3 */7", "America/New_York", datetime(2026, 1, 1, tzinfo=UTC), 1) == []
    assert times("0 2 8-14 3 */7", "America/New_York", datetime(2026, 1, 1, tzinfo=UTC), 1) == [
        datetime(2026, 3, 8, 7, 0, tzinfo=UTC)
    ]


@pytest.mark.parametrize("expression", ["* * * * *", "59 23 * * *", "0 0 L * *"])
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
def test_it_ends_with_the_year_9999(expression: str, zone: str) -> None:
    fires = times(expression, zone, datetime(9999, 12, 30, 12, tzinfo=UTC), 10_000)

    assert fires == sorted(fires)
    assert all(at.year == 9999 for at in fires)
    assert times(expression, zone, datetime.max.replace(tzinfo=UTC), 1) == []


def test_it_reports_the_time_that_a_jump_left_out() -> None:
    after = datetime.fromisoformat("2026-03-08T01:30-05:00")

    first, second = islice(cron_fires("*/30 * * * *", "America/New_York", after), 2)

    assert first.dropped == wall("2026-03-08 02:00")
    assert first.wall == wall("2026-03-08 03:00")
    assert second.dropped is None


@pytest.mark.parametrize(
    ("expression", "fixed"),
    [
        ("0 9 * * *", True),
        ("0-59/5 9 * * *", True),
        ("*/5 9 * * *", False),
        ("0 * * * *", False),
        ("0 */4 * * *", False),
    ],
)
def test_a_star_in_front_of_the_minute_or_hour_makes_a_job_follow_the_clock(expression: str, fixed: bool) -> None:
    assert parse_cron(expression).fixed is fixed


def test_an_unknown_zone_and_a_bad_expression_are_refused() -> None:
    with pytest.raises(ValueError, match="Unknown time zone 'Mars/Base'"):
        cron_fires("* * * * *", "Mars/Base", datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(InvalidCron):
        cron_fires("* * * *", "UTC", datetime(2026, 1, 1, tzinfo=UTC))


# --- Comparison with other implementations


def values(low: int, high: int) -> st.SearchStrategy[str]:
    """A cron field: star, step, number, range, range with step, or a list of them."""
    number = st.integers(low, high)
    span = st.tuples(number, number).filter(lambda pair: pair[0] < pair[1]).map(lambda pair: f"{pair[0]}-{pair[1]}")
    stepped = st.tuples(span, st.integers(1, 5)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    listed = st.lists(st.one_of(number.map(str), span, stepped), min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), st.integers(1, (high - low + 1) // 2).map(lambda step: f"*/{step}"), listed)


EXPRESSIONS = st.tuples(values(0, 59), values(0, 23), values(1, 28), values(1, 12), values(0, 6)).map(" ".join)
# Near clock changes, where implementations differ: small hours, every day of the year.
NIGHTLY = st.tuples(values(0, 59), values(0, 4), st.just("*"), st.just("*"), st.just("*")).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(EXPRESSIONS, st.datetimes(wall("1990-01-01 00:00"), wall("2090-01-01 00:00"), timezones=st.just(UTC)))
def test_it_agrees_with_croniter_where_no_clock_changes(expression: str, after: datetime) -> None:
    """Debian's rule for the two day fields included."""
    other = croniter(expression, after, ret_type=datetime, implement_cron_bug=True)

    assert times(expression, "UTC", after, 5) == [other.get_next() for _ in range(5)]


@settings(max_examples=150, deadline=None)
@given(NIGHTLY, st.sampled_from(ZONES), st.integers(0, 3 * 365))
def test_it_agrees_with_cronsim_around_clock_changes(expression: str, zone: str, day: int) -> None:
    after = datetime(2024, 1, 1, 12, tzinfo=UTC) + timedelta(days=day)
    other = CronSim(expression, after.astimezone(ZoneInfo(zone)))
    expected = [next(other).astimezone(UTC) for _ in range(20)]

    # cronsim repeats the moment behind a jump once for every time that the jump swallowed; cron runs the job once.
    assert times(expression, zone, after, len(set(expected))) == sorted(set(expected))


TRANSITIONS = {
    "America/New_York": wall("2026-03-08 07:00"),
    "Europe/London": wall("2026-10-25 01:00"),
    "Africa/Cairo": wall("2026-10-29 21:00"),
    "Asia/Beirut": wall("2026-03-28 22:00"),
    "Antarctica/Troll": wall("2026-10-25 01:00"),
    "America/Nuuk": wall("2026-03-29 01:00"),
}


@settings(max_examples=150, deadline=None)
@given(NIGHTLY, st.sampled_from(sorted(TRANSITIONS)), st.integers(30 * 60, 40 * 60))
def test_it_agrees_with_cronsim_across_the_change_itself(expression: str, zone: str, minutes_before: int) -> None:
    after = TRANSITIONS[zone].replace(tzinfo=UTC) - timedelta(minutes=minutes_before)
    other = CronSim(expression, after.astimezone(ZoneInfo(zone)))
    expected = sorted({next(other).astimezone(UTC) for _ in range(60)})

    assert times(expression, zone, after, len(expected)) == expected


ODD_CHANGES = [
    ("Australia/Lord_Howe", wall("2026-04-04 15:00")),
    ("Australia/Lord_Howe", wall("2026-10-03 15:30")),
    ("Pacific/Chatham", wall("2026-04-04 14:00")),
    ("Pacific/Chatham", wall("2026-09-26 14:00")),
]


@settings(max_examples=60, deadline=None)
@given(NIGHTLY, st.sampled_from(ODD_CHANGES), st.integers(1, 900))
def test_it_fires_exactly_where_a_search_minute_by_minute_finds_a_match(
    expression: str, odd_change: tuple[str, datetime], minutes_before: int
) -> None:
    """For wildcard jobs, where cronsim is no help: the definition itself, tried on each minute."""
    zone, table = ZoneInfo(odd_change[0]), parse_cron(expression)
    assume(not table.fixed)
    after = odd_change[1].replace(tzinfo=UTC) - timedelta(minutes=minutes_before)
    wanted = set(table.times)
    minutes = (after + timedelta(minutes=number) for number in range(1, 1440))
    expected = [at for at in minutes if at.astimezone(zone).time() in wanted]

    assert times(expression, zone.key, after, len(expected)) == expected


@pytest.mark.parametrize("after", ["2009-01-01", "2009-10-30", "2009-11-01"])
def test_a_long_wait_ends_before_a_clock_change_next_to_the_fires(after: str) -> None:
    """Newfoundland went back from 00:01 on 1 November to 23:01 the day before: midnight came twice."""
    found = times("*/30 0 1 11 *", "America/St_Johns", datetime.fromisoformat(after).replace(tzinfo=UTC), 4)
    assert [f"{at:%Y-%m-%d %H:%M}" for at in found] == [
        "2009-11-01 02:30",
        "2009-11-01 03:30",
        "2009-11-01 04:00",
        "2010-11-01 02:30",
    ]


@pytest.mark.parametrize("expression", ["*/59 */23 29 2 */7", "*/30 2 29 2 */7", "* */23 31 12 */6"])
def test_a_rare_expression_costs_no_look_at_every_day_that_it_waits(
    monkeypatch: pytest.MonkeyPatch, expression: str
) -> None:
    looks = 0
    real = zones.utc_offset

    def counted(zone: ZoneInfo, moment: datetime) -> timedelta:
        nonlocal looks
        looks += 1
        return real(zone, moment)

    monkeypatch.setattr(zones, "utc_offset", counted)
    monkeypatch.setattr(cron, "utc_offset", counted)
    found = times(expression, "Europe/Berlin", datetime(2026, 11, 25, tzinfo=UTC), 100)
    assert (len(found), looks < 100 * 20) == (100, True), looks
