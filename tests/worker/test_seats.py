"""Seats: bounded per process and per target."""

from __future__ import annotations

from collections import Counter
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.seats import Seats

TARGETS = [uuid4() for _ in range(4)]


@pytest.mark.parametrize(("total", "share"), [(1, 1), (2, 1), (5, 4), (10, 8), (100, 80)])
def test_one_target_takes_four_fifths_of_the_seats_at_most_but_at_least_one(total: int, share: int) -> None:
    seats = Seats(total)

    taken = sum(seats.take(TARGETS[0], None) for _ in range(total))

    assert taken == share
    assert seats.free() == total - share
    assert seats.full_targets() == {TARGETS[0]}


def test_max_concurrency_lowers_the_share() -> None:
    seats = Seats(10)

    assert [seats.take(TARGETS[0], 2) for _ in range(3)] == [True, True, False]
    assert seats.full_targets() == {TARGETS[0]}


def test_max_concurrency_does_not_raise_the_share() -> None:
    seats = Seats(10)

    assert sum(seats.take(TARGETS[0], 100) for _ in range(10)) == 8


def test_a_changed_max_concurrency_counts_from_the_next_seat_on() -> None:
    seats = Seats(10)
    seats.take(TARGETS[0], 1)

    assert seats.take(TARGETS[0], 3)
    assert seats.full_targets() == set()


def test_it_refuses_when_no_seat_is_free() -> None:
    seats = Seats(2)
    assert seats.take(TARGETS[0], None)
    assert seats.take(TARGETS[1], None)

    assert not seats.take(TARGETS[2], None)
    assert seats.free() == 0


@given(st.integers(1, 12), st.lists(st.tuples(st.booleans(), st.sampled_from(TARGETS), st.none() | st.integers(1, 5))))
def test_the_books_balance_whatever_is_taken_and_given_back(
    total: int, steps: list[tuple[bool, UUID, int | None]]
) -> None:
    seats, held = Seats(total), Counter[UUID]()

    for give_back, target, max_concurrency in steps:
        if give_back and held[target]:
            seats.give_back(target)
            held[target] -= 1
        elif seats.take(target, max_concurrency):
            held[target] += 1
            assert held[target] <= min(max(1, total * 80 // 100), max_concurrency or total)
        assert seats.free() == total - held.total() >= 0

    for target in list(held.elements()):
        seats.give_back(target)
    assert seats.free() == total
    assert seats.full_targets() == set()
