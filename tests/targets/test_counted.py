"""Numbers of things, in words."""

from __future__ import annotations

import pytest

from targets.counted import counted


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (counted(1, "run"), "1 run"),
        (counted(0, "run"), "0 runs"),
        (counted(1200, "run"), "1,200 runs"),
        (counted(0, "is", "are"), "0 are"),
    ],
)
def test_one_thing_is_singular_and_many_have_separators(words: str, sentence: str) -> None:
    assert words == sentence
