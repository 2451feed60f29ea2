"""Strict JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler_project.json_parser import MAX_DEPTH, parse_strictly
from scheduler_project.problems import NotJson, TooLarge, Unacceptable

PLAIN_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | PLAIN_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PLAIN_TEXT, inner, max_size=4),
    max_leaves=20,
)


def errors_of(raw: bytes) -> list[tuple[str, str]]:
    with pytest.raises(Unacceptable) as caught:
        parse_strictly(raw)
    return [(error.pointer, error.code) for error in caught.value.errors]


@given(JSON_VALUES)
def test_it_reads_what_any_encoder_writes(value: Any) -> None:
    assert parse_strictly(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"{'a': 1}", b"[1,]", b"nul", b"NaN", b"[Infinity]", b'{"a": -Infinity}', b"01", b'"a\nb"', b"1 2"],
)
def test_it_refuses_what_is_not_rfc_8259(raw: bytes) -> None:
    with pytest.raises(NotJson):
        parse_strictly(raw)


def test_it_says_where_the_json_breaks() -> None:
    with pytest.raises(NotJson, match="line 2, column 1"):
        parse_strictly(b'{"a": 1,\n')


@pytest.mark.parametrize("raw", [b"\xff", b'"\xed\xa0\x80"', b'{"a": "\xc3"}', b"\xef\xbb\xbf{}"])
def test_it_refuses_bytes_that_are_not_plain_utf_8(raw: bytes) -> None:
    with pytest.raises(NotJson):
        parse_strictly(raw)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (rb'{"a": "x\u0000"}', [("/a", "unsafe_text")]),
        (rb'["\ud800"]', [("/0", "unsafe_text")]),
        (rb'{"a": {"b/c": ["\udfff"]}}', [("/a/b~1c/0", "unsafe_text")]),
        (rb'{"\u0000": 1}', [("/\N{REPLACEMENT CHARACTER}", "unsafe_text")]),
        (rb'"\ud83d"', [("", "unsafe_text")]),
    ],
)
def test_it_points_to_text_that_no_database_takes(raw: bytes, expected: list[tuple[str, str]]) -> None:
    assert errors_of(raw.decode().encode()) == expected


def test_it_reads_surrogate_pairs() -> None:
    assert parse_strictly(rb'"\ud83d\ude00"') == "\N{GRINNING FACE}"


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [(b'{"a": 1, "b": 2, "a": 3}', "/a"), (b'{"x": [{"y": 1, "y": 1}]}', "/x/0/y"), (rb'{"a": 1, "\u0061": 2}', "/a")],
)
def test_it_refuses_names_that_occur_twice(raw: bytes, pointer: str) -> None:
    assert errors_of(raw) == [(pointer, "repeated")]


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 309, "-" + "9" * 309, "9" * 5000])
def test_it_refuses_numbers_that_no_float_holds(number: str) -> None:
    assert errors_of(f'{{"n": {number}}}'.encode()) == [("/n", "out_of_range")]


@pytest.mark.parametrize("number", [10**308 - 1, 1 - 10**308, 1e308, 0, -0.5])
def test_it_takes_numbers_that_a_field_can_compare_with_its_range(number: float) -> None:
    assert parse_strictly(json.dumps([number]).encode()) == [number]


def test_it_takes_the_deepest_allowed_nesting() -> None:
    assert parse_strictly(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_it_refuses_deeper_nesting(depth: int, opening: bytes, closing: bytes) -> None:
    with pytest.raises(TooLarge, match="64 levels"):
        parse_strictly(opening * depth + b"1" + closing * depth)


def test_it_names_every_wrong_place() -> None:
    assert sorted(errors_of(rb'{"a": "\u0000", "b": 1e999, "b": 1}')) == [("/a", "unsafe_text"), ("/b", "repeated")]
