from __future__ import annotations

import encodings
import pkgutil
from encodings import aliases

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.response_text import MAX_BODY_BYTES, charset_of, printable, stored_headers, stored_text

# `encodings` has a module per codec: every name that `charset=` may give.
CHARSETS = sorted({*aliases.aliases, *(module.name for module in pkgutil.iter_modules(encodings.__path__))})


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("text/html; charset=ISO-8859-1", "iso8859-1"),
        ('text/html; charset="utf-16"', "utf-16"),
        ("text/html;CHARSET = latin1 ; x=y", "iso8859-1"),
        ("text/html", "utf-8"),
        ("", "utf-8"),
        ("text/html; charset=", "utf-8"),
        ("text/html; charset=no-such", "utf-8"),
        ("text/html; charset=hex", "utf-8"),
        ("text/html; charset=rot13", "utf-8"),
        ("text/html; charset=idna", "utf-8"),
        ("text/html; charset=punycode", "utf-8"),
        ("text/html; charset=unicode_escape", "utf-8"),
        ("text/html; charset=undefined", "utf-8"),
        ("text/html; charset=utf-7", "utf-8"),
    ],
)
def test_the_charset_is_one_that_decodes_text(content_type: str, charset: str) -> None:
    assert charset_of({"content-type": content_type}) == charset


@pytest.mark.parametrize("name", CHARSETS)
def test_every_charset_that_python_knows_gives_storable_text(name: str) -> None:
    charset = charset_of({"content-type": f"text/plain; charset={name}"})
    halves = ("\ud800".encode(name, "surrogatepass") for name in ("utf-8", "utf-16", "utf-16-be", "utf-32"))
    for data in (bytes(range(256)) * 3, b"\x00\xd8\x00\xdc\xff", b"+2AA-\\ud800 xn--\xff", *halves):
        text, _ = stored_text(data, charset, truncated=False)
        assert text.encode()
        assert "\x00" not in text


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_give_storable_text(data: bytes, truncated: bool) -> None:
    text, still = stored_text(data, "utf-8", truncated=truncated)
    assert "\x00" not in text
    assert len(text.encode()) <= 3 * len(data)
    assert still is truncated


def test_a_character_cut_in_half_at_the_end_is_left_out() -> None:
    assert stored_text("é€".encode()[:-1], "utf-8", truncated=True) == ("é", True)
    assert stored_text("é€".encode()[:-1], "utf-8", truncated=False) == ("é\ufffd", False)


def test_text_that_grows_is_cut_again() -> None:
    text, truncated = stored_text(b"\xe9" * MAX_BODY_BYTES, "latin-1", truncated=False)
    assert (text, truncated) == ("é" * (MAX_BODY_BYTES // 2), True)
    text, truncated = stored_text(bytes(MAX_BODY_BYTES), "utf-8", truncated=False)
    assert (text, truncated) == ("\ufffd" * (MAX_BODY_BYTES // 3), True)


@given(st.text(st.characters(codec="latin-1")))
def test_printable_text_has_no_controls_but_tabs(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert all(char == "\t" or char.isprintable() or char in "\xa0\xad\ufffd" for char in shown)


def test_headers_are_kept_up_to_a_number() -> None:
    assert len(stored_headers((f"X-{number}", "v") for number in range(500))) == 100


def test_headers_are_kept_up_to_a_size() -> None:
    kept = stored_headers((f"X-{number:03}", "v" * 9000) for number in range(50))
    assert {len(value) for value in kept.values()} == {8192}
    assert sum(len(name) + len(value) for name, value in kept.items()) <= 65_536
