from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.histograms import LATENCY_BOUNDS, LATENESS_BOUNDS, Histogram, label_of

seconds = st.floats(min_value=0, max_value=10_000, allow_nan=False)


def observe(values: list[float], bounds: tuple[float, ...] = LATENCY_BOUNDS) -> Histogram:
    return Histogram.from_cells(bounds, [(label_of(value, bounds), 1, value) for value in values])


def bucket_edges(value: float) -> tuple[float, float]:
    label = label_of(value, LATENCY_BOUNDS)
    edges = [0.0, *LATENCY_BOUNDS, math.inf]
    return edges[edges.index(float(label)) - 1], float(label)


@pytest.mark.parametrize(
    ("value", "label"), [(0, "0.005"), (0.005, "0.005"), (0.0051, "0.01"), (1.0, "1"), (120, "120"), (120.01, "inf")]
)
def test_a_bucket_includes_its_upper_bound(value: float, label: str) -> None:
    assert label_of(value, LATENCY_BOUNDS) == label


@pytest.mark.parametrize("bounds", [LATENCY_BOUNDS, LATENESS_BOUNDS])
def test_every_label_reads_back_as_its_bound(bounds: tuple[float, ...]) -> None:
    assert [float(label_of(bound, bounds)) for bound in bounds] == list(bounds)


@given(st.lists(seconds, min_size=1), st.floats(min_value=1, max_value=100))
def test_a_percentile_lies_in_the_bucket_of_the_value_that_sorting_would_give(
    values: list[float], percent: float
) -> None:
    histogram = observe(values)
    rank = math.ceil(round(len(values) * percent / 100, 9))
    low, high = bucket_edges(sorted(values)[max(rank, 1) - 1])
    assert low <= histogram.percentile(percent) <= high


@given(st.lists(seconds, min_size=1))
def test_percentiles_never_fall_as_the_percentage_grows(values: list[float]) -> None:
    # The last bucket is left out: its average is a single value.
    histogram = observe([value for value in values if value <= LATENCY_BOUNDS[-1]])
    found = [histogram.percentile(percent) for percent in range(1, 101)]
    assert found == sorted(found)


@given(st.lists(seconds))
def test_count_and_total_are_those_of_the_values(values: list[float]) -> None:
    histogram = observe(values)
    assert histogram.count == len(values)
    assert histogram.total == pytest.approx(math.fsum(values))


@given(st.lists(seconds))
def test_the_cumulative_form_counts_the_values_up_to_each_bound(values: list[float]) -> None:
    assert observe(values).cumulative() == [
        (bound, sum(value <= bound for value in values)) for bound in (*LATENCY_BOUNDS, math.inf)
    ]


def test_values_inside_a_bucket_are_taken_as_evenly_spread() -> None:
    histogram = observe([0.6] * 10)
    assert histogram.percentile(50) == pytest.approx(0.625)


def test_the_average_stands_for_values_beyond_the_last_bound() -> None:
    assert observe([200.0, 400.0]).percentile(95) == 300.0


def test_nothing_observed_reads_as_zero() -> None:
    histogram = observe([])
    assert (histogram.count, histogram.mean, histogram.percentile(95)) == (0, 0.0, 0.0)


def test_a_label_from_other_bounds_counts_in_the_next_larger_bucket() -> None:
    histogram = Histogram.from_cells((1.0, 5.0), [("2", 3, 4.5), ("7", 1, 6.0), ("inf", 1, 9.0)])
    assert histogram.counts == (0, 3, 2)
