"""What a schedule may hold."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime
from typing import Any

import pytest

from schedules.validators import EARLIEST, LATEST, check_values, known_zones


def test_aliases_of_zones_are_known_and_oddities_are_not() -> None:
    assert {"UTC", "Asia/Kolkata", "Asia/Calcutta", "US/Eastern", "Etc/GMT+5"} <= known_zones()
    assert known_zones().isdisjoint({"localtime", "Factory", "posixrules", "leapseconds", "Europe", ""})


def test_every_moment_that_is_let_in_can_be_shown_in_every_zone() -> None:
    for name in known_zones():
        zone = zoneinfo.ZoneInfo(name)
        assert EARLIEST.astimezone(zone).year in (1969, 1970)
        assert LATEST.astimezone(zone).year in (8999, 9000)


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [
        ("interval_seconds", 1, 31_622_400),
        ("max_runs", 1, 2_147_483_647),
        ("misfire_grace_seconds", 0, 31_622_400),
        ("max_retries", 0, 100),
        ("retry_delay_seconds", 0, 86_400),
        ("max_retry_delay_seconds", 0, 86_400),
    ],
)
def test_numbers_are_let_in_up_to_their_bounds(name: str, lowest: int, highest: int) -> None:
    assert check_values({name: lowest, "max_runs": 1}) == {}
    assert check_values({name: highest}) == {}
    for wrong in (lowest - 1, highest + 1):
        assert check_values({name: wrong}) == {name: f"Must be from {lowest} to {highest}."}


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"start_at": None, "max_runs": None, "run_at": None}, set()),
        ({"timezone": None, "name": None}, {"timezone", "name"}),
        ({"start_at": EARLIEST, "expires_at": LATEST}, {"expires_at"}),
        ({"run_at": datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)}, {"run_at"}),
        ({"name": "Zeile\u2028zwei"}, {"name"}),
        ({"name": "Überprüfung 東京 😀"}, set()),
    ],
)
def test_each_field_is_judged_by_itself(fields: dict[str, Any], wrong: set[str]) -> None:
    assert set(check_values(fields)) == wrong
