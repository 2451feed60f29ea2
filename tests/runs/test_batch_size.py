"""The size of batches follows how long they take."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runs.batch_size import FIRST_ROWS, LEAST_ROWS, MOST_ROWS, WANTED_SECONDS, BatchSize


def test_it_doubles_up_to_a_bound_while_batches_are_quick() -> None:
    size = BatchSize()
    seen = [size.rows]
    for _ in range(6):
        size.took(0.001, rows=size.rows)
        seen.append(size.rows)
    assert seen == [FIRST_ROWS, 100, 200, 400, MOST_ROWS, MOST_ROWS, MOST_ROWS]


def test_one_slow_batch_shrinks_it_to_what_would_have_been_quick_enough() -> None:
    size = BatchSize()
    size.rows = 400
    size.took(4 * WANTED_SECONDS, rows=400)
    assert size.rows == 100


def test_a_slow_disk_can_not_stop_it() -> None:
    size = BatchSize()
    size.took(60, rows=size.rows)
    assert size.rows == LEAST_ROWS


def test_a_small_last_batch_says_nothing_about_large_ones() -> None:
    size = BatchSize()
    size.took(0.0001, rows=3)
    assert size.rows == FIRST_ROWS


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, MOST_ROWS))))
def test_it_stays_within_its_bounds(batches: list[tuple[float, int]]) -> None:
    size = BatchSize()
    for seconds, rows in batches:
        size.took(seconds, rows=rows)
        assert LEAST_ROWS <= size.rows <= MOST_ROWS
