"""Monotonic moments on the database's clock."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOW
from tests.worker.workers import Monotonic
from worker.worker_clock import WorkerClock


def test_it_goes_on_from_the_anchor_without_asking() -> None:
    monotonic = Monotonic()
    clock = WorkerClock(monotonic=monotonic, read=lambda: NOW)
    clock.anchor(clock.read())
    monotonic.pass_seconds(1.5)
    assert clock.now() == NOW + timedelta(seconds=1.5)


def test_a_moment_before_the_anchor_lies_before_it() -> None:
    monotonic = Monotonic()
    clock = WorkerClock(monotonic=monotonic)
    started = monotonic()
    monotonic.pass_seconds(2)
    clock.anchor(NOW)
    assert clock.at(started) == NOW - timedelta(seconds=2)


@given(st.floats(0, 1e6), st.floats(0, 3600))
def test_a_call_is_as_long_on_the_databases_clock_as_it_was(started: float, took: float) -> None:
    clock = WorkerClock(monotonic=Monotonic())
    clock.anchor(NOW)
    measured = (clock.at(started + took) - clock.at(started)).total_seconds()
    assert abs(measured - took) < 0.000_01
