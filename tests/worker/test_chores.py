"""Chores: one at a time, in turn, and none stops the others."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.db import OperationalError

from tests.factories import NOW
from tests.worker.workers import Monotonic
from worker.chores import NEXT_BATCH_SECONDS, Chore, Housekeeping

PERIOD = 10.0


class Recorder:
    """A chore's work: what it was called with, and what it finds."""

    def __init__(self, *found: int | Exception) -> None:
        self.found = list(found)
        self.calls: list[datetime] = []

    def __call__(self, *, now: datetime) -> int:
        self.calls.append(now)
        found = self.found.pop(0) if self.found else 0
        if isinstance(found, Exception):
            raise found
        return found


def keep_house(monotonic: Monotonic, *works: Recorder) -> Housekeeping:
    """Chores named by their number."""
    chores = [Chore(f"chore_{number}", work) for number, work in enumerate(works)]
    return Housekeeping(chores, seconds=PERIOD, monotonic=monotonic)


def test_a_chore_is_done_once_per_period() -> None:
    monotonic, work = Monotonic(), Recorder()
    house = keep_house(monotonic, work)
    assert house.work(NOW) == 0
    assert work.calls == []

    monotonic.pass_seconds(PERIOD)
    house.work(NOW)
    house.work(NOW)

    assert work.calls == [NOW]
    assert house.seconds_left() == PERIOD


def test_no_tick_does_more_than_one() -> None:
    monotonic, first, second = Monotonic(), Recorder(), Recorder()
    house = keep_house(monotonic, first, second)
    monotonic.pass_seconds(PERIOD)

    house.work(NOW)
    assert len(first.calls) + len(second.calls) == 1
    house.work(NOW)
    assert len(first.calls) == len(second.calls) == 1


def test_a_chore_that_found_rows_comes_again_soon_but_not_at_once() -> None:
    monotonic, work = Monotonic(), Recorder(500, 3)
    house = keep_house(monotonic, work)
    monotonic.pass_seconds(PERIOD)

    assert house.work(NOW) == 500
    assert house.seconds_left() == pytest.approx(NEXT_BATCH_SECONDS)
    assert house.work(NOW) == 0
    monotonic.pass_seconds(NEXT_BATCH_SECONDS * 1.01)
    assert house.work(NOW) == 3


def test_one_that_fails_is_logged_once_and_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    monotonic, broken, sound = Monotonic(), Recorder(ValueError("x"), ValueError("y")), Recorder()
    house = keep_house(monotonic, broken, sound)
    for _ in range(3):
        monotonic.pass_seconds(PERIOD)
        house.work(NOW)
        house.work(NOW)

    assert len(broken.calls) == len(sound.calls) == 3
    assert [vars(record)["action"] for record in caplog.records] == ["chore_0_failed", "chore_0_recovered"]


def test_trouble_of_the_database_is_the_loops_business() -> None:
    monotonic = Monotonic()
    house = keep_house(monotonic, Recorder(OperationalError()))
    monotonic.pass_seconds(PERIOD)
    with pytest.raises(OperationalError):
        house.work(NOW)


def test_a_house_without_chores_never_wakes_the_loop() -> None:
    house = keep_house(Monotonic())
    assert house.work(NOW) == 0
    assert house.seconds_left() == float("inf")
