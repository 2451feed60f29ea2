"""Header fields: the same reading that http.client's e-mail parser gives, for everything that servers send."""

from __future__ import annotations

import http.client
import io
from http.client import HTTPException, LineTooLong

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.header_fields import HeaderFields, read_fields

NAMES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=":"), min_size=1, max_size=8)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f\x85\xa0"), max_size=12)


def read(lines: bytes) -> HeaderFields:
    return read_fields(io.BytesIO(lines + b"\r\n").readline)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=6, unique_by=lambda pair: pair[0].lower()))
def test_it_reads_what_http_client_reads(pairs: list[tuple[str, str]]) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in pairs).encode("latin-1")
    expected = http.client.parse_headers(io.BytesIO(lines + b"\r\n"))
    assert dict(read(lines)) == {name: value.strip(" ") for name, value in expected.items()}


def test_a_name_is_found_in_any_case() -> None:
    fields = read(b"Content-TYPE: a\r\n")
    assert (fields["content-type"], fields.get("CONTENT-TYPE"), fields.get("other")) == ("a", "a", None)
    assert list(fields.items()) == [("Content-TYPE", "a")]


def test_repeated_fields_are_joined_under_the_first_spelling() -> None:
    assert list(read(b"Set-Cookie: a=1\r\nX: y\r\nset-cookie: b=2\r\n").items()) == [
        ("Set-Cookie", "a=1, b=2"),
        ("X", "y"),
    ]


@pytest.mark.parametrize(
    ("lines", "fields"),
    [
        (b"", {}),
        (b"X:\r\n", {"X": ""}),
        (b"X:y\n", {"X": "y"}),
        (b"X: \t y \t\r\n", {"X": "y"}),
        (b"X: a:b\r\n", {"X": "a:b"}),
        (b"X: a\r\n b\r\n\tc\r\n", {"X": "a b c"}),
        (b" lost\r\nX: y\r\n", {"X": "y"}),
        (b"nonsense\r\nX: y\r\n", {"X": "y"}),
        (b"X : y\r\nZ: 1\r\n", {"Z": "1"}),
        (b": y\r\nZ: 1\r\n", {"Z": "1"}),
        (b"X\x00: y\r\nZ: a\x00b\r\n", {"Z": "a\x00b"}),
        (b"X: a\rY: b\r\n", {"X": "a\rY: b"}),
        (b"X: \xe9\r\n", {"X": "\xe9"}),
    ],
)
def test_odd_lines_are_read_in_one_way(lines: bytes, fields: dict[str, str]) -> None:
    assert dict(read(lines)) == fields


def test_what_follows_the_empty_line_is_left() -> None:
    wire = io.BytesIO(b"X: y\r\n\r\nZ: body\r\n")
    assert dict(read_fields(wire.readline)) == {"X": "y"}
    assert wire.read() == b"Z: body\r\n"


def test_there_are_at_most_a_hundred() -> None:
    assert len(read(b"".join(b"X-%d: y\r\n" % number for number in range(100)))) == 100
    with pytest.raises(HTTPException):
        read(b"X: y\r\n" * 101)


def test_a_line_has_at_most_64_kilobytes() -> None:
    with pytest.raises(LineTooLong):
        read(b"X: " + b"y" * 65_536 + b"\r\n")
