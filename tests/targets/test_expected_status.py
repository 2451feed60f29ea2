"""Which status codes count as success."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.expected_status import parse_expected_status


def expects(text: str, code: int) -> bool:
    return any(code in part for part in parse_expected_status(text))


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("200", [200], [199, 201, 404]),
        ("200-299", [200, 204, 299], [199, 300]),
        ("200,201,204", [200, 201, 204], [202, 203, 205]),
        ("200-204,404", [200, 204, 404], [205, 403, 405]),
        (" 200 - 204 , 404 ", [202, 404], [205]),
        ("100-599", [100, 304, 599], [99, 600]),
        ("404,200-201", [404, 200], [202]),
    ],
)
def test_it_reads_codes_and_ranges(text: str, inside: list[int], outside: list[int]) -> None:
    assert all(expects(text, code) for code in inside)
    assert not any(expects(text, code) for code in outside)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'' is not a status code or range"),
        ("abc", "'abc' is not a status code or range"),
        ("2xx", "'2xx' is not a status code or range"),
        ("200,", "'' is not a status code or range"),
        ("200-", "'200-' is not a status code or range"),
        ("-200", "'-200' is not a status code or range"),
        ("200;201", "'200;201' is not a status code or range"),
        ("200-201-202", "is not a status code or range"),
        ("20", "'20' is not a status code or range"),
        ("2000", "'2000' is not a status code or range"),
        ("200.0", "'200.0' is not a status code or range"),
        ("٢٠٠", "is not a status code or range"),
        ("099", "'099' is outside 100 to 599"),
        ("600", "'600' is outside 100 to 599"),
        ("200-600", "'200-600' is outside 100 to 599"),
        ("299-200", "'299-200' runs backwards: write 200-299."),
    ],
)
def test_it_refuses_anything_else_and_says_what(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"status code|outside|backwards") as refusal:
        parse_expected_status(text)
    assert words in str(refusal.value)


@given(st.text(max_size=20))
def test_it_reads_or_refuses_any_text_with_a_sentence(text: str) -> None:
    try:
        parts = parse_expected_status(text)
    except ValueError as problem:
        assert str(problem).endswith(".")
    else:
        assert all(100 <= code <= 599 for part in parts for code in part)
