"""Form fields that give back exactly what they were given."""

from __future__ import annotations

import pytest
from django import forms
from hypothesis import given
from hypothesis import strategies as st

from scheduler_project.admin_fields import ExactTextField, HeadersField

TEXT = ExactTextField(required=False)
HEADERS = HeadersField(required=False)


def as_browsers_send(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_text_that_comes_back_from_a_browser_has_not_changed(text: str) -> None:
    assert not TEXT.has_changed(text, as_browsers_send(text))


@pytest.mark.parametrize(("initial", "data"), [("a", "b"), ("a", "a "), ("a\nb", "a\r\n\r\nb"), (None, "x"), ("x", "")])
def test_any_other_difference_is_a_change(initial: str | None, data: str) -> None:
    assert TEXT.has_changed(initial, data)


def test_nothing_and_empty_are_the_same_to_a_form() -> None:
    assert not TEXT.has_changed(None, "")
    assert not TEXT.has_changed("", None)


def test_blanks_are_kept_and_lines_end_plainly() -> None:
    assert TEXT.clean("  a\r\nb\rc \n") == "  a\nb\nc \n"
    assert TEXT.clean(None) == ""


NAMES = st.text("ABCxyz-", min_size=1)
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)


@given(st.dictionaries(NAMES, VALUES))
def test_headers_survive_the_way_through_a_browser(headers: dict[str, str]) -> None:
    typed = as_browsers_send(HEADERS.prepare_value(headers))
    assert HEADERS.clean(typed) == headers
    assert not HEADERS.has_changed(headers, typed)


@pytest.mark.parametrize(
    ("typed", "headers"),
    [
        ("", {}),
        ("\r\n \n", {}),
        ("A:1", {"A": "1"}),
        (" A :  1 2 ", {"A": "1 2"}),
        ("A:", {"A": ""}),
        ("A: b: c", {"A": "b: c"}),
    ],
)
def test_headers_are_read_from_lines(typed: str, headers: dict[str, str]) -> None:
    assert HEADERS.clean(typed) == headers


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("A: 1\nno colon", "Line 2 is not a header. Write it as Name: value."),
        (": 1", "Line 1 is not a header. Write it as Name: value."),
        ("A: 1\nA: 2", "A stands there twice. Keep one of them."),
    ],
)
def test_other_lines_are_refused(typed: str, message: str) -> None:
    with pytest.raises(forms.ValidationError) as refusal:
        HEADERS.clean(typed)
    assert refusal.value.messages == [message]
    assert HEADERS.has_changed({}, typed)


def test_what_was_refused_is_shown_again_as_it_was_typed() -> None:
    assert HEADERS.prepare_value("no colon") == "no colon"
