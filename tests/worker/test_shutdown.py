"""Signals: one asks, a second one insists."""

from __future__ import annotations

import os
import signal

import pytest

from tests.worker.workers import Monotonic
from worker.shutdown import LAST_WORDS, StopSignals


class Rig:
    """Stop signals with everything they touch recorded."""

    def __init__(self) -> None:
        self.monotonic = Monotonic()
        self.wakes = 0
        self.exits: list[int] = []
        self.stop = StopSignals(wake=self.wake, monotonic=self.monotonic, exit_now=self.exits.append)

    def wake(self) -> None:
        self.wakes += 1

    def signal_after(self, seconds: float) -> None:
        self.monotonic.pass_seconds(seconds)
        self.stop.handle(signal.SIGTERM, None)


def test_the_first_signal_asks_to_stop_and_wakes_the_loop() -> None:
    rig = Rig()
    before = rig.stop.requested
    rig.signal_after(0)

    assert (before, rig.stop.requested) == (False, True)
    assert rig.wakes == 1
    assert rig.exits == []


def test_g19_signals_within_a_second_count_as_one() -> None:
    rig = Rig()
    for pause in (0, 0.4, 0.6):
        rig.signal_after(pause)
    assert rig.exits == []


def test_g19_a_later_second_signal_ends_the_process_at_once(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    rig = Rig()
    rig.signal_after(0)
    rig.signal_after(1.1)

    assert rig.exits == [1]
    assert capfdbinary.readouterr().err == LAST_WORDS


def test_asking_again_does_not_move_the_moment_that_the_drain_time_counts_from() -> None:
    rig = Rig()
    rig.stop.request()
    asked = rig.stop.requested_at
    rig.monotonic.pass_seconds(5)
    rig.stop.request()
    assert rig.stop.requested_at == asked


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_handles_the_two_signals_that_stop_a_service(number: signal.Signals) -> None:
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    rig = Rig()
    try:
        rig.stop.install()
        os.kill(os.getpid(), number)
        assert rig.stop.requested
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
