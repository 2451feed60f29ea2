"""Seats: bounded per process, per target and, where asked for, per host (guarantees G22 and D12)."""

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


def test_targets_of_one_host_share_what_it_may_take() -> None:
    seats = Seats(10, per_host=2)
    urls = ["http://A.example/x", "https://a.example.:8443/{{run_id}}", "http://a.example", "http://b.example/"]
    assert [seats.take(target, None, url) for target, url in zip(TARGETS, urls, strict=True)] == [
        True,
        True,
        False,
        True,
    ]


def test_a_target_whose_host_is_full_is_left_out_until_there_is_room() -> None:
    seats = Seats(10, per_host=1)
    seats.take(TARGETS[0], None, "http://a.example/")
    seats.take(TARGETS[1], None, "http://b.example/")
    assert not seats.take(TARGETS[2], None, "http://a.example/")
    assert seats.full_targets() == {TARGETS[2]}
    seats.give_back(TARGETS[1])
    assert seats.full_targets() == {TARGETS[2]}
    seats.give_back(TARGETS[0])
    assert seats.full_targets() == set()
    assert seats.take(TARGETS[2], None, "http://a.example/")


def test_a_target_that_moved_to_another_host_leaves_the_one_that_it_came_from() -> None:
    seats = Seats(10, per_host=1)
    assert seats.take(TARGETS[0], None, "http://a.example/")
    assert seats.take(TARGETS[0], None, "http://b.example/")
    seats.give_back(TARGETS[0])
    seats.give_back(TARGETS[0])
    assert seats.take(TARGETS[1], None, "http://a.example/")
    assert seats.take(TARGETS[2], None, "http://b.example/")


def test_hosts_are_not_counted_unless_asked_for() -> None:
    seats = Seats(10)
    assert all(seats.take(target, None, "http://a.example/") for target in TARGETS * 2)
    assert seats.full_targets() == set()
