"""Nominal times of all three types, the window, the preview, gaps and jitter."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from schedules.recurrence import (
    InvalidCron,
    check_cron,
    fires,
    jitter_offset,
    next_fire,
    shortest_gap,
    upcoming,
)
from schedules.timing import Timing
from tests.schedules.timings import START, cron, every, once

SECOND = timedelta(seconds=1)
END_OF_TIME = datetime.max.replace(tzinfo=UTC)
INTERVALS = st.integers(1, 366 * 86_400)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.timedeltas(timedelta(0), END_OF_TIME - EPOCH).map(lambda elapsed: EPOCH + elapsed)
MODERN = st.timedeltas(timedelta(0), timedelta(days=130 * 365)).map(lambda elapsed: EPOCH + elapsed)
CRONS = st.sampled_from(
    ["* * * * *", "*/7 * * * *", "30 2 * * *", "0 9 * * 1-5", "@hourly", "@monthly", "0 0 29 2 *", "15 */6 L * *"]
)
ZONES = st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"])
TIMINGS = st.one_of(
    st.builds(every, INTERVALS, started_at=MODERN),
    st.builds(cron, CRONS, ZONES, started_at=MODERN),
    st.builds(once, MODERN, started_at=MODERN),
)


# --- Intervals


@given(INTERVALS, MOMENTS, MOMENTS)
def test_an_interval_fires_on_its_grid_and_nowhere_else(seconds: int, started_at: datetime, after: datetime) -> None:
    at = next_fire(every(seconds, started_at=started_at), after)

    assume(at is not None)
    assert at is not None
    assert at.tzinfo is UTC
    assert (at - started_at) % timedelta(seconds=seconds) == timedelta(0)
    assert at > after
    assert at > started_at
    # The grid point before it is not later than `after`, or it is the start itself, which does not fire.
    assert at - started_at == timedelta(seconds=seconds) or at - after <= timedelta(seconds=seconds)


def test_ten_seconds_for_five_minutes_are_thirty_fires() -> None:
    timing = every(10, expires_at=START + timedelta(seconds=300))

    assert list(fires(timing, START)) == [START + number * 10 * SECOND for number in range(1, 31)]


def test_an_interval_does_not_drift_over_a_century() -> None:
    after = START + timedelta(days=36_525, microseconds=1)

    assert next_fire(every(7), after) == START + (36_525 * 86_400 // 7 + 1) * 7 * SECOND


def test_an_interval_keeps_the_fraction_of_its_start() -> None:
    started_at = START + timedelta(microseconds=123_456)

    assert next_fire(every(60, started_at=started_at), START) == started_at + 60 * SECOND


def test_an_interval_counts_real_seconds_across_a_clock_change() -> None:
    """Started in New York's local time the night before clocks go forward: a day is 24 hours all the same."""
    started_at = datetime(2026, 3, 7, 12, 0, tzinfo=ZoneInfo("America/New_York"))

    assert next_fire(every(86_400, started_at=started_at), started_at) == datetime(2026, 3, 8, 17, 0, tzinfo=UTC)


# --- Once


def test_once_fires_at_its_moment_only_and_in_utc() -> None:
    run_at = datetime(2026, 5, 1, 9, 0, tzinfo=ZoneInfo("Asia/Kolkata"))
    timing = once(run_at)

    assert [str(at) for at in fires(timing, START)] == ["2026-05-01 03:30:00+00:00"]
    assert next_fire(timing, run_at - timedelta(microseconds=1)) == run_at
    assert next_fire(timing, run_at) is None


# --- Window


@given(TIMINGS, MODERN)
def test_fires_are_later_in_order_in_utc_and_inside_the_window(timing: Timing, after: datetime) -> None:
    ends = timing.started_at + timedelta(days=500)
    found = list(islice(fires(replace(timing, expires_at=ends), after), 20))

    assert all(at.tzinfo is UTC and after < at <= ends for at in found)
    assert all(later > earlier for earlier, later in pairwise(found))
    if timing.run_at is None:
        assert all(at >= timing.started_at for at in found)


@given(TIMINGS, MODERN)
def test_each_fire_is_the_next_one_after_the_one_before(timing: Timing, after: datetime) -> None:
    found = list(islice(fires(timing, after), 8))

    chained: list[datetime | None] = [next_fire(timing, at) for at in [after, *found[:-1]]]
    assert chained[: len(found)] == found
    assert found or chained == [None]


@given(TIMINGS, MODERN, st.integers(0, 999))
def test_no_fire_lies_between_a_moment_and_its_next_fire(timing: Timing, after: datetime, part: int) -> None:
    at = next_fire(timing, after)
    assume(at is not None)
    assert at is not None

    assert next_fire(timing, after + (at - after) * part // 1000) == at


def test_the_end_is_inclusive_and_so_is_the_start_of_a_cron() -> None:
    noon = cron("0 12 * * *", expires_at=START + timedelta(days=2))

    assert list(fires(noon, START - timedelta(days=5))) == [START + timedelta(days=number) for number in range(3)]
    assert next_fire(every(60), START - SECOND) == START + 60 * SECOND
    assert next_fire(replace(noon, expires_at=START - SECOND), START - timedelta(days=5)) is None


@pytest.mark.parametrize(
    "timing",
    [
        every(1),
        every(366 * 86_400),
        every(60, started_at=END_OF_TIME),
        cron("* * * * *", "Pacific/Kiritimati"),
        cron("0 0 1 1 *", "Pacific/Niue"),
        cron("* * * * *", "Pacific/Niue", started_at=END_OF_TIME),
        once(END_OF_TIME),
    ],
)
@pytest.mark.parametrize("back", [timedelta(0), timedelta(hours=5), timedelta(days=1), timedelta(days=3)])
def test_the_end_of_the_calendar_is_an_end_and_no_error(timing: Timing, back: timedelta) -> None:
    after = END_OF_TIME - back
    found = [fire.at for fire in upcoming(timing, after, 3)]

    assert all(max(after, timing.started_at) < at < datetime(9999, 12, 31, tzinfo=UTC) for at in found)


@pytest.mark.parametrize(
    "timing", [every(60), cron("30 2 * * *", "America/New_York"), cron("*/9 * * * *", "Asia/Tokyo")]
)
def test_the_beginning_of_the_calendar_is_no_error(timing: Timing) -> None:
    beginning = datetime.min.replace(tzinfo=UTC)

    assert next_fire(timing, beginning) == next_fire(timing, START - timedelta(microseconds=1))
    early = next_fire(replace(timing, started_at=beginning), beginning)
    assert early is not None
    assert early < datetime(1970, 1, 3, tzinfo=UTC)


# --- Preview


@pytest.mark.parametrize(
    ("expression", "after", "local", "note"),
    [
        ("30 2 * * *", "2026-03-07T12:00-05:00", "03-08 03:00", "02:30 does not exist on this day: runs at 03:00"),
        ("30 2 * * *", "2026-03-08T12:00-04:00", "03-09 02:30", ""),
        (
            "30 1 * * *",
            "2026-10-31T12:00-04:00",
            "11-01 01:30",
            "01:30 occurs twice on this day: runs at the first one",
        ),
        (
            "30 * * * *",
            "2026-11-01T01:00-04:00",
            "11-01 01:30",
            "01:30 occurs twice on this day: this is the first one",
        ),
        (
            "30 * * * *",
            "2026-11-01T01:30-04:00",
            "11-01 01:30",
            "01:30 occurs twice on this day: this is the second one",
        ),
        (
            "30 * * * *",
            "2026-03-08T01:30-05:00",
            "03-08 03:30",
            "clocks go forward: 02:30 does not exist on 2026-03-08 and is left out",
        ),
    ],
)
def test_the_preview_says_what_a_clock_change_does(expression: str, after: str, local: str, note: str) -> None:
    (fire,) = upcoming(
        cron(expression, "America/New_York", started_at=datetime(2026, 1, 1, tzinfo=UTC)),
        datetime.fromisoformat(after),
        1,
    )

    assert f"{fire.local:%m-%d %H:%M}" == local
    assert fire.local.astimezone(UTC) == fire.at
    assert fire.note == note


def test_the_preview_has_no_notes_for_intervals_and_once() -> None:
    """Both are moments, not wall clock times, even in a repeated hour."""
    repeated = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)

    for timing in (every(60, started_at=repeated - 60 * SECOND), once(repeated)):
        (fire,) = upcoming(replace(timing, timezone="America/New_York"), repeated - SECOND, 1)
        assert (fire.at, fire.local.hour, fire.note) == (repeated, 1, "")


def test_the_preview_ends_with_the_window() -> None:
    assert len(upcoming(every(60, expires_at=START + 200 * SECOND), START, 100)) == 3
    assert upcoming(every(60), START, 0) == []


# --- Shortest gap


@pytest.mark.parametrize(
    ("timing", "gap"),
    [
        (every(90), timedelta(seconds=90)),
        (every(90, expires_at=START + 179 * SECOND), None),
        (once(START + SECOND), None),
        (cron("* * * * *"), timedelta(minutes=1)),
        (cron("*/7 * * * *"), timedelta(minutes=4)),
        (cron("0,59 * * * *"), timedelta(minutes=1)),
        (cron("59 23 * * 6", expires_at=START + timedelta(days=6)), None),
        (cron("0 0 * * *"), timedelta(days=1)),
        (cron("0 0 * * *", "Europe/London"), timedelta(hours=23)),
        (cron("30 0-23 * * *", "America/New_York"), timedelta(minutes=30)),
        (cron("30 * * * *", "America/New_York"), timedelta(hours=1)),
        (cron("0 1,13 * * *", "America/New_York"), timedelta(hours=11)),
        (cron("0 0 28,29 2 *"), timedelta(days=1)),
        (cron("0 0 29 2 *"), timedelta(days=1461)),
        (cron("0 0 31 * *"), timedelta(days=31)),
    ],
)
def test_the_shortest_gap_is_found_where_it_hides(timing: Timing, gap: timedelta | None) -> None:
    assert shortest_gap(timing, START) == gap


def test_the_shortest_gap_is_found_at_a_clock_change_far_ahead() -> None:
    """Twenty-four fires a day, and the only short gap of the year comes eleven months later."""
    timing = cron("30 0-23 * * *", "America/New_York")

    assert shortest_gap(timing, datetime(2026, 4, 1, tzinfo=UTC)) == timedelta(minutes=30)


def test_the_shortest_gap_near_the_end_of_the_calendar_is_no_error() -> None:
    assert shortest_gap(cron("0 12 * * *", "Pacific/Kiritimati"), END_OF_TIME) is None
    assert shortest_gap(every(60), END_OF_TIME) is None


# --- Checking


@pytest.mark.parametrize("expression", ["0 0 30 2 *", "0 0 31 2,4,6 *", "0 0 30 2 */2"])
def test_an_expression_that_never_fires_is_refused(expression: str) -> None:
    with pytest.raises(InvalidCron, match="never fires"):
        check_cron(expression, "Asia/Kolkata", START)


@pytest.mark.parametrize("expression", ["0 0 29 2 *", "0 0 29 2 */7", "0 0 30 2 MON", "0 0 * 2 1#5", "@hourly"])
def test_an_expression_that_fires_seldom_is_accepted(expression: str) -> None:
    check_cron(expression, "Asia/Kolkata", START)


CRON_TEXT = st.one_of(
    st.text(max_size=30),
    st.text("0123456789*/-,#?LWRH@ adjmnostu", max_size=24),
    st.lists(st.text("0123456789*/-,#LWRMONJAFEB", min_size=1, max_size=6), min_size=5, max_size=6).map(" ".join),
    st.lists(
        st.from_regex(r"(\*|[0-6]?[0-9](-[0-6]?[0-9])?)(/[0-9]{1,2})?(,[0-9]{1,2}|#[1-5])?", fullmatch=True),
        min_size=5,
        max_size=5,
    ).map(" ".join),
)


@settings(max_examples=250, deadline=None)
@given(CRON_TEXT, ZONES)
@example("0 0 * * 1#5,2#1", "UTC")
@example("0 0 * 2 1#5", "America/New_York")
@example("59/1 23/1 31/1 12/1 *", "UTC")
def test_any_text_is_refused_with_a_sentence_or_fires_for_decades(expression: str, zone: str) -> None:
    try:
        check_cron(expression, zone, START)
    except InvalidCron as refusal:
        assert str(refusal)
        return
    timing = cron(expression, zone)
    moment = START
    for year in range(2027, 2100, 6):
        at = next_fire(timing, moment)
        assert at is not None
        assert at > moment
        moment = max(at, datetime(year, 1, 1, tzinfo=UTC))


# --- Jitter


@given(st.uuids(), st.integers(0, 86_400))
def test_jitter_is_stable_in_range_and_in_whole_milliseconds(schedule_id: UUID, seconds: int) -> None:
    offset = jitter_offset(schedule_id, seconds)

    assert timedelta(0) <= offset <= timedelta(seconds=seconds)
    assert offset % timedelta(milliseconds=1) == timedelta(0)
    assert offset == jitter_offset(UUID(str(schedule_id)), seconds)


def test_jitter_spreads_schedules_over_the_whole_range() -> None:
    offsets = [jitter_offset(uuid4(), 100) for _ in range(1000)]

    per_tenth = Counter(offset // timedelta(seconds=10) for offset in offsets)
    assert all(per_tenth[tenth] >= 60 for tenth in range(10))


def test_jitter_is_the_same_in_every_release() -> None:
    assert jitter_offset(UUID(int=1), 60) == timedelta(milliseconds=56_576)
