"""A request on the wire: one head, one body, and nothing that breaks out of its line."""

from __future__ import annotations

from typing import Any

import pytest

from worker.request_head import request_message


def message(method: str = "GET", target: str = "/", body: bytes | None = None, **headers: str) -> bytes:
    return request_message(
        method, target, "example.com", {name.replace("_", "-"): v for name, v in headers.items()}, body
    )


def test_a_request_has_its_lines_in_order() -> None:
    sent = message("POST", "/a?b=%20", b"\x00body", User_Agent="x", Cookie="a=b; c")
    assert sent == (
        b"POST /a?b=%20 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: x\r\nCookie: a=b; c\r\n"
        b"Content-Length: 5\r\n\r\n\x00body"
    )


@pytest.mark.parametrize(
    ("method", "body", "announced"),
    [
        ("GET", None, b""),
        ("HEAD", b"", b""),
        ("GET", b"x", b"Content-Length: 1\r\n"),
        ("POST", None, b"Content-Length: 0\r\n"),
        ("DELETE", None, b"Content-Length: 0\r\n"),
        ("OPTIONS", b"", b"Content-Length: 0\r\n"),
    ],
)
def test_a_length_is_announced_where_there_is_or_could_be_content(
    method: str, body: bytes | None, announced: bytes
) -> None:
    sent = message(method, body=body)
    assert sent == b"%s / HTTP/1.1\r\nHost: example.com\r\n%s\r\n%s" % (method.encode(), announced, body or b"")


@pytest.mark.parametrize("value", ["", "a\tb", "é", "a: b", "\x7f"])
def test_a_value_is_sent_as_it_is(value: str) -> None:
    assert f"X: {value}\r\n".encode("latin-1") in message(X=value)


@pytest.mark.parametrize(
    "parts",
    [
        {"X": "a\r\nInjected: b"},
        {"X": "a\nInjected: b"},
        {"X": "a\rInjected: b"},
        {"X": "a\r\n folded"},
        {"X": "a\x00b"},
        {"Bad Name": "x"},
        {"Bad:": "x"},
        {"": "x"},
        {"É": "x"},
        {"target": "/a b"},
        {"target": "/ HTTP/1.1\r\nX: y\r\n\r\nGET /"},
        {"target": ""},
        {"target": "/é"},
        {"method": "GET /x"},
        {"method": ""},
    ],
)
def test_what_would_break_out_of_its_line_is_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="can't be sent"):
        message(**parts)


def test_a_host_cannot_break_out_either() -> None:
    with pytest.raises(ValueError, match="can't be sent"):
        request_message("GET", "/", "a\r\nX: y", {}, None)


def test_a_character_beyond_latin_1_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        message(X="☃")
