"""How findings read, and which is the worst."""

from __future__ import annotations

import pytest

from scheduler_project.doctor.findings import Finding, Level, failure, lasting, named, ok, warning, worst

FINE, ODD, BAD = ok("a", "Fine."), warning("b", "Odd.", "Look."), failure("c", "Bad.", "Mend.")


@pytest.mark.parametrize(
    ("findings", "level"),
    [([], Level.OK), ([FINE], Level.OK), ([FINE, ODD], Level.WARNING), ([BAD, FINE, ODD], Level.FAILURE)],
)
def test_the_whole_is_as_bad_as_its_worst_part(findings: list[Finding], level: Level) -> None:
    assert worst(findings) is level


def test_a_line_has_level_name_sentence_and_remedy() -> None:
    assert [finding.line() for finding in (FINE, ODD)] == ["ok       a: Fine.", "warning  b: Odd. Look."]


def test_names_read_as_words() -> None:
    assert (named("ab"), named("abcde")) == ("a, b", "a, b, c and 2 more")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (119.4, "119 s"),
        (120, "2 minutes"),
        (7200, "2 hours"),
        (172_800, "2 days"),
        (28_422_812, "328 days"),
    ],
)
def test_a_time_is_told_in_the_largest_unit_of_which_there_are_two(seconds: float, words: str) -> None:
    assert lasting(seconds) == words
