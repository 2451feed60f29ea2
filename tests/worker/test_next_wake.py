"""When the loop looks again."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOW
from worker.next_wake import seconds_to_sleep

POLL = 1.0


def sleep(*due_in: float, found_work: bool = False, elapsed: float = 0.0) -> float:
    """For moments `due_in` seconds after the tick's now, `elapsed` seconds later."""
    return seconds_to_sleep(
        [NOW + timedelta(seconds=seconds) for seconds in due_in],
        seen_at=NOW,
        now=NOW + timedelta(seconds=elapsed),
        found_work=found_work,
        at_most=[POLL],
    )


def test_it_sleeps_for_one_poll_when_nothing_is_due() -> None:
    assert sleep() == POLL
    assert sleep(5) == POLL


def test_it_wakes_for_what_is_due_first() -> None:
    assert sleep(0.7, 0.3) == 0.3


def test_the_time_that_the_tick_took_is_counted() -> None:
    assert round(sleep(0.5, elapsed=0.2), 6) == 0.3
    assert sleep(0.5, elapsed=0.9) == 0


def test_it_looks_again_at_once_while_there_is_more_than_a_batch() -> None:
    assert sleep(-1, found_work=True) == 0


def test_it_never_spins_over_what_it_can_not_get() -> None:
    assert sleep(-1, 0, found_work=False) == POLL
    assert sleep(-1, 0.4, found_work=False) == 0.4


@given(st.lists(st.floats(-100, 100)), st.booleans(), st.floats(0, 10))
def test_it_is_never_negative_and_never_longer_than_a_poll(
    due_in: list[float], found_work: bool, elapsed: float
) -> None:
    assert 0 <= sleep(*due_in, found_work=found_work, elapsed=elapsed) <= POLL
