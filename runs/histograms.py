"""Histograms of durations in seconds: which bucket a value falls into, and what the buckets tell."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

# Upper bounds in seconds, each inclusive as in Prometheus; a last bucket without a bound follows.
LATENCY_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
LATENESS_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)


def label_of(seconds: float, bounds: tuple[float, ...]) -> str:
    """The bucket of a value, named by its upper bound: `0.25`, `5`, ... or `inf` beyond the last bound."""
    position = bisect_left(bounds, seconds)
    return f"{bounds[position]:g}" if position < len(bounds) else "inf"


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values fell into each bucket, and the sum of the values of each, in seconds.

    `counts` and `sums` have one place more than `bounds`: the bucket without an upper bound.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sums: tuple[float, ...]

    @classmethod
    def from_cells(cls, bounds: tuple[float, ...], cells: Iterable[tuple[str, int, float]]) -> Histogram:
        """Build it from stored cells: label, count, sum of seconds.

        A label that is no bound (the bounds were others when it was written) counts in the next larger bucket.
        """
        counts, sums = [0] * (len(bounds) + 1), [0.0] * (len(bounds) + 1)
        for label, count, seconds in cells:
            position = bisect_left(bounds, float(label))
            counts[position] += count
            sums[position] += seconds
        return cls(bounds, tuple(counts), tuple(sums))

    @property
    def count(self) -> int:
        """How many values were observed."""
        return sum(self.counts)

    @property
    def total(self) -> float:
        """The sum of all observed values, in seconds."""
        return math.fsum(self.sums)

    @property
    def mean(self) -> float:
        """The average in seconds; 0 without values."""
        return self.total / self.count if self.count else 0.0

    def cumulative(self) -> list[tuple[float, int]]:
        """For each bound, and infinity, how many values are at most that large."""
        return list(zip((*self.bounds, math.inf), accumulate(self.counts), strict=True))

    def percentile(self, percent: float) -> float:
        """The value in seconds below which `percent` (0 < percent <= 100) of the observations lie; 0 without any.

        Inside a bucket the values are taken as evenly spread. Those of the last bucket have no upper bound: their
        average stands for them.
        """
        rank = self.count * percent / 100
        below = 0
        for position, count in enumerate(self.counts):
            if count and below + count >= rank:
                return self._inside(position, (rank - below) / count)
            below += count
        return 0.0

    def _inside(self, position: int, share: float) -> float:
        if position == len(self.bounds):
            return self.sums[position] / self.counts[position]
        low = self.bounds[position - 1] if position else 0.0
        return low + (self.bounds[position] - low) * share
