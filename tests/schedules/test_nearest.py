"""Looking back for a fire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedules.nearest import previous_fire
from schedules.recurrence import Timing, next_fire

START = datetime(2026, 1, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


def timing(**fields: object) -> Timing:
    """A timing from `START` on; interval of a minute unless `fields` say otherwise."""
    values: dict[str, object] = {
        "schedule_type": "interval",
        "started_at": START,
        "expires_at": None,
        "interval_seconds": 60,
        "cron_expression": None,
        "run_at": None,
        "timezone": "Europe/Berlin",
    }
    return Timing(**{**values, **fields})  # type: ignore[arg-type]


def cron(expression: str, **fields: object) -> Timing:
    return timing(schedule_type="cron", interval_seconds=None, cron_expression=expression, **fields)


TIMINGS = [
    timing(),
    timing(interval_seconds=1),
    timing(interval_seconds=86_400 * 30),
    cron("* * * * *"),
    cron("*/7 3-4 * * 1"),
    cron("30 2 * * *"),
    cron("* * 1 1 *"),
    cron("0 0 29 2 *"),
    cron("0 * * * *", expires_at=START + timedelta(days=40)),
]


@pytest.mark.parametrize("each", TIMINGS, ids=str)
@settings(deadline=None)
@given(offset=st.timedeltas(timedelta(days=1), timedelta(days=2500)))
def test_no_fire_lies_between_it_and_the_moment(each: Timing, offset: timedelta) -> None:
    after = START + offset
    found = previous_fire(each, after)
    if found is None:
        first = next_fire(each, START - INSTANT)
        assert first is None or first >= after
    else:
        following = next_fire(each, found)
        assert next_fire(each, found - INSTANT) == found
        assert found < after
        assert following is None or following >= after


def test_it_is_strictly_earlier() -> None:
    assert previous_fire(timing(), START + timedelta(minutes=5)) == START + timedelta(minutes=4)


@pytest.mark.parametrize("before", [START, START + timedelta(seconds=60), datetime(1, 1, 3, tzinfo=UTC)])
def test_there_is_none_before_the_first(before: datetime) -> None:
    assert previous_fire(timing(), before) is None


def test_a_cron_may_have_fired_at_its_very_start() -> None:
    assert previous_fire(cron("0 * * * *"), START + timedelta(minutes=1)) == START


def test_once_looks_back_to_its_moment() -> None:
    once = timing(schedule_type="once", interval_seconds=None, run_at=START + timedelta(days=3))
    assert previous_fire(once, START + timedelta(days=900)) == START + timedelta(days=3)
    assert previous_fire(once, START + timedelta(days=3)) is None
