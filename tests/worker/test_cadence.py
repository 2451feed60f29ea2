"""A timer for what happens every so often."""

from __future__ import annotations

from tests.worker.workers import Monotonic
from worker.cadence import Cadence


def test_it_is_due_after_each_full_period() -> None:
    monotonic = Monotonic()
    cadence = Cadence(10, monotonic=monotonic)
    assert not cadence.due()

    monotonic.pass_seconds(10)
    assert cadence.due()

    cadence.restart()
    assert cadence.seconds_left() == 10


def test_missed_periods_are_not_made_up_for() -> None:
    monotonic = Monotonic()
    cadence = Cadence(10, monotonic=monotonic)
    monotonic.pass_seconds(95)
    cadence.restart()
    assert not cadence.due()


def test_one_period_can_be_shorter() -> None:
    monotonic = Monotonic()
    cadence = Cadence(10, monotonic=monotonic)
    cadence.restart(0)
    assert cadence.due()
    cadence.restart()
    assert cadence.seconds_left() == 10
