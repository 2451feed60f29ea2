"""Moments in forms: every one comes back as it went, also where clocks are put back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django import forms
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from scheduler_project.admin_moments import MomentField, MomentWidget

FIELD = MomentField(required=False)
# Berlin puts its clocks back at 01:00 UTC: 02:00 to 03:00 comes twice. On 2026-03-29 it is left out.
FIRST, SECOND = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _in_berlin() -> Iterator[None]:
    with timezone.override(ZoneInfo("Europe/Berlin")):
        yield


def shown(moment: datetime | None) -> list[str]:
    """The texts of the two inputs."""
    widgets = MomentWidget().get_context("at", moment, {})["widget"]["subwidgets"]
    return [widget["value"] for widget in widgets]


def typed(day: str, clock: str) -> datetime | None:
    moment: datetime | None = FIELD.clean([day, clock])
    return moment and moment.astimezone(UTC)


def test_a_time_that_comes_once_is_shown_without_an_offset() -> None:
    assert shown(datetime(2026, 7, 1, 10, 0, 5, tzinfo=UTC)) == ["2026-07-01", "12:00:05"]
    assert typed("2026-07-01", "12:00:05") == datetime(2026, 7, 1, 10, 0, 5, tzinfo=UTC)
    assert typed("2026-07-01", "12:00") == datetime(2026, 7, 1, 10, tzinfo=UTC)


def test_date_and_time_stand_in_one_paragraph() -> None:
    # A paragraph within the paragraph would end it, and put the time beside the date's row.
    assert MomentWidget().render("at", None).count("<p") == 1


def test_a_time_that_comes_twice_is_shown_with_its_offset() -> None:
    assert shown(FIRST) == ["2026-10-25", "02:30:00+0200"]
    assert shown(SECOND) == ["2026-10-25", "02:30:00+0100"]


@pytest.mark.parametrize("clock", ["02:30:00+0100", "02:30+01:00", "02:30 +0100"])
def test_an_offset_says_which_one_is_meant(clock: str) -> None:
    assert typed("2026-10-25", clock) == SECOND


@given(
    st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca", "Asia/Kolkata"]),
    # From 1971 to 2099, and the two.
    st.integers(31_536_000, 4_070_908_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
    | st.sampled_from([FIRST, SECOND]),
)
def test_what_is_shown_is_what_was_stored(zone: str, moment: datetime) -> None:
    with timezone.override(ZoneInfo(zone)):
        texts = shown(moment)
        assert FIELD.clean(texts) == moment
        assert not FIELD.has_changed(moment, texts)


@given(st.integers(-180, 180))
def test_around_a_change_of_clocks_too(minutes: int) -> None:
    moment = SECOND + timedelta(minutes=minutes)
    assert FIELD.clean(shown(moment)) == moment


def test_the_other_one_of_the_two_is_a_change() -> None:
    assert FIELD.has_changed(FIRST, shown(SECOND))


@pytest.mark.parametrize(
    ("day", "clock", "words"),
    [
        ("2026-10-25", "02:30", r"02:30 comes twice on that day. Write 02:30\+0200 or 02:30\+0100."),
        ("2026-03-29", "02:30", "02:30 does not exist on that day"),
        ("2026-10-25", "", "Enter a valid time."),
        ("", "02:30", "Enter a valid date."),
        ("2026-10-25", "noon", "Enter a valid time."),
        ("2026-10-25", "02:30+99:00", "Enter a valid time."),
    ],
)
def test_what_no_moment_fits_is_refused_in_words(day: str, clock: str, words: str) -> None:
    with pytest.raises(forms.ValidationError, match=words):
        FIELD.clean([day, clock])


def test_nothing_is_no_moment() -> None:
    assert shown(None) == [None, None]
    assert FIELD.clean(["", ""]) is None
    assert not FIELD.has_changed(None, ["", ""])
