"""Wall clocks and UTC where clocks jump or repeat."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from schedules.zones import exists, find_zone, first_existing, is_repeated, next_offset_change, wall_clock

NEW_YORK = ZoneInfo("America/New_York")
SPRING = datetime(2026, 3, 8, 7, 0, tzinfo=UTC)  # 02:00 EST becomes 03:00 EDT
AUTUMN = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)  # 02:00 EDT becomes 01:00 EST


def wall(text: str) -> datetime:
    """A naive time, as clocks show it."""
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("name", ["Nowhere/Land", "", "/etc/passwd", "../../etc/passwd", "Europe", "UTC\x00", "\ud800"])
def test_it_refuses_names_that_are_no_zone(name: str) -> None:
    with pytest.raises(ValueError, match="Unknown time zone"):
        find_zone(name)


def test_it_shows_the_wall_clock_to_the_second() -> None:
    assert wall_clock(datetime(2026, 7, 1, 12, 0, 5, 123, tzinfo=UTC), NEW_YORK) == wall("2026-07-01 08:00:05")


@pytest.mark.parametrize(
    ("shown", "there", "twice"),
    [
        (wall("2026-03-08 01:59"), True, False),
        (wall("2026-03-08 02:00"), False, False),
        (wall("2026-03-08 02:59"), False, False),
        (wall("2026-03-08 03:00"), True, False),
        (wall("2026-11-01 00:59"), True, False),
        (wall("2026-11-01 01:00"), True, True),
        (wall("2026-11-01 01:59"), True, True),
        (wall("2026-11-01 02:00"), True, False),
    ],
)
def test_it_knows_which_times_are_missing_or_repeated(shown: datetime, there: bool, twice: bool) -> None:
    assert exists(shown, NEW_YORK) is there
    assert is_repeated(shown, NEW_YORK) is twice


@pytest.mark.parametrize(
    ("zone", "shown", "moment"),
    [
        (NEW_YORK, wall("2026-03-08 02:30"), SPRING),
        (NEW_YORK, wall("2026-03-08 02:00"), SPRING),
        (NEW_YORK, wall("2026-11-01 01:30"), AUTUMN - timedelta(minutes=30)),
        (ZoneInfo("Australia/Lord_Howe"), wall("2026-10-04 02:15"), datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
        # Samoa left out the whole of 30 December 2011.
        (ZoneInfo("Pacific/Apia"), wall("2011-12-30 12:00"), datetime(2011, 12, 30, 10, 0, tzinfo=UTC)),
    ],
)
def test_it_takes_the_first_existing_moment(zone: ZoneInfo, shown: datetime, moment: datetime) -> None:
    assert first_existing(shown, zone) == moment


@pytest.mark.parametrize("change", [SPRING, AUTUMN])
@pytest.mark.parametrize("ahead", [timedelta(microseconds=1), timedelta(hours=5, microseconds=7), timedelta(days=60)])
def test_it_finds_a_change_to_the_second(change: datetime, ahead: timedelta) -> None:
    assert next_offset_change(NEW_YORK, change - ahead, change) == change
    assert next_offset_change(NEW_YORK, change - ahead, change + timedelta(days=30, microseconds=3)) == change


def test_it_finds_no_change_before_or_after_it() -> None:
    assert next_offset_change(NEW_YORK, SPRING - timedelta(days=90), SPRING - timedelta(microseconds=1)) is None
    assert next_offset_change(NEW_YORK, SPRING, AUTUMN - timedelta(seconds=1)) is None


def test_it_finds_both_changes_of_a_single_month() -> None:
    """Morocco leaves summer time for Ramadan: 23 February to 6 April 2025."""
    zone = ZoneInfo("Africa/Casablanca")
    start = datetime(2025, 1, 1, tzinfo=UTC)

    first = next_offset_change(zone, start, start + timedelta(days=365))
    assert first == datetime(2025, 2, 23, 2, 0, tzinfo=UTC)
    assert next_offset_change(zone, first, start + timedelta(days=365)) == datetime(2025, 4, 6, 2, 0, tzinfo=UTC)
