"""What a benchmark asks, and what came of it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Question:
    """One line of the table.

    Attributes:
        name: S1, P2 ...
        ratio: what is divided by what, in words.
        goal: what the ratio should reach, or stay under.
        at_least: whether more is better.
    """

    name: str
    ratio: str
    goal: float
    at_least: bool = True

    def reached(self, ratio: float) -> bool:
        """Whether a ratio is as good as the goal, at the precision to which goals are given."""
        return round(ratio, 2) >= self.goal if self.at_least else round(ratio, 2) <= self.goal

    def verdict(self, ratio: float) -> str:
        """Reached, or by how much it was missed."""
        if self.reached(ratio):
            return "reached"
        return f"missed by {abs(ratio / self.goal - 1):.0%}"


@dataclass(frozen=True, slots=True)
class Sample:
    """One side of one round: the value that is compared, and what else was seen."""

    value: float
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of a question. `ratio` is the median of the rounds' ratios."""

    question: Question
    ratio: float
    ratios: Sequence[float]
    values: Mapping[str, float]
    note: str = ""
    # Beside the ratio: a second condition of the goal (S7's milliseconds, a constant number of queries).
    holds: bool = True

    @property
    def reached(self) -> bool:
        """Whether the goal is met, with all that belongs to it."""
        return self.holds and self.question.reached(self.ratio)

    @property
    def verdict(self) -> str:
        """The last column of the table."""
        said = self.question.verdict(self.ratio)
        return said if self.holds else f"{said}; {self.note}" if said != "reached" else f"missed: {self.note}"


class Journal(Protocol):
    """Where rounds are told."""

    rounds: int

    def round_done(self, question: Question, number: int, samples: Mapping[str, Sample], ratio: float) -> None:
        """Tell one round."""


def compare(
    journal: Journal,
    question: Question,
    sides: Mapping[str, Callable[[], Sample]],
    *,
    ratio: Callable[[Mapping[str, float]], float] | None = None,
    rounds: int | None = None,
) -> tuple[Answer, list[Mapping[str, Sample]]]:
    """Measure all sides by turns, so that what the machine does meanwhile meets all of them.

    Args:
        journal: hears each round.
        question: what is asked.
        sides: by name; unless `ratio` says otherwise, the first is divided by the second.
        ratio: computes the ratio from the sides' values.
        rounds: how many, where not the journal's number.
    """
    names = list(sides)
    divide = ratio or (lambda values: values[names[0]] / values[names[1]])
    told: list[Mapping[str, Sample]] = []
    ratios: list[float] = []
    for number in range(1, (rounds or journal.rounds) + 1):
        samples = {name: side() for name, side in sides.items()}
        ratios.append(divide({name: sample.value for name, sample in samples.items()}))
        told.append(samples)
        journal.round_done(question, number, samples, ratios[-1])
    values = {name: statistics.median(samples[name].value for samples in told) for name in names}
    return Answer(question, statistics.median(ratios), ratios, values), told


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of the values don't exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, round(percent / 100 * len(ordered)) - 1))]
