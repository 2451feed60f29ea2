from __future__ import annotations

from typing import Any

import pytest

from runs.outcome import ErrorType, expects, judge


def verdict(status_code: int, **changes: Any) -> tuple[ErrorType, str]:
    values: dict[str, Any] = {"expected_status": "200-299", "response_must_contain": None, "body": ""}
    return judge(status_code=status_code, **{**values, **changes})


@pytest.mark.parametrize("status_code", [200, 204, 299])
def test_an_expected_status_is_a_success(status_code: int) -> None:
    assert verdict(status_code) == (ErrorType.NONE, "")


@pytest.mark.parametrize("status_code", [302, 404, 503])
def test_an_expected_status_is_a_success_even_where_it_would_be_an_error(status_code: int) -> None:
    assert verdict(status_code, expected_status=f"200-299,{status_code}") == (ErrorType.NONE, "")


def test_an_expected_status_without_the_text_that_must_be_there_is_unexpected() -> None:
    error_type, message = verdict(200, response_must_contain="ok", body="down")
    assert error_type is ErrorType.UNEXPECTED_RESPONSE
    assert message == "The target answered 200 OK, but the stored part of its body lacks 'ok'."


def test_an_expected_status_with_the_text_that_must_be_there_is_a_success() -> None:
    assert verdict(200, response_must_contain="ok", body="all ok") == (ErrorType.NONE, "")


def test_a_text_that_must_be_there_does_not_save_an_unexpected_status() -> None:
    assert verdict(500, response_must_contain="ok", body="all ok")[0] is ErrorType.SERVER_ERROR


@pytest.mark.parametrize(
    ("status_code", "error_type", "message"),
    [
        (304, ErrorType.REDIRECT, "The target answered 304 Not Modified without a Location."),
        (400, ErrorType.CLIENT_ERROR, "The target answered 400 Bad Request."),
        (404, ErrorType.CLIENT_ERROR, "The target answered 404 Not Found."),
        (499, ErrorType.CLIENT_ERROR, "The target answered 499."),
        (500, ErrorType.SERVER_ERROR, "The target answered 500 Internal Server Error."),
        (599, ErrorType.SERVER_ERROR, "The target answered 599."),
        (600, ErrorType.UNEXPECTED_RESPONSE, "The target answered 600; expected_status is 200-299."),
        (999, ErrorType.UNEXPECTED_RESPONSE, "The target answered 999; expected_status is 200-299."),
    ],
)
def test_an_unexpected_status_is_named_by_its_class(status_code: int, error_type: ErrorType, message: str) -> None:
    assert verdict(status_code) == (error_type, message)


def test_a_success_that_was_not_expected_is_unexpected() -> None:
    error_type, message = verdict(200, expected_status="204")
    assert error_type is ErrorType.UNEXPECTED_RESPONSE
    assert message == "The target answered 200 OK; expected_status is 204."


def test_a_redirect_says_where_to_and_why_it_was_not_followed() -> None:
    error_type, message = verdict(302, location="https://example.com/new")
    assert error_type is ErrorType.REDIRECT
    assert message == "The target answered 302 Found to https://example.com/new; follow_redirects is off."


def test_a_redirect_does_not_blame_the_switch_that_is_on() -> None:
    message = verdict(300, location="/a", follow_redirects=True)[1]
    assert message == "The target answered 300 Multiple Choices to /a."


def test_long_texts_are_cut_in_the_sentence() -> None:
    assert len(verdict(302, location="x" * 5000)[1]) < 300
    assert len(verdict(200, response_must_contain="x" * 5000)[1]) < 350


@pytest.mark.parametrize(
    ("expected_status", "status_code", "answer"),
    [("200", 200, True), ("200", 201, False), ("200-204,404", 404, True), ("200-204, 404", 205, False)],
)
def test_it_knows_whether_a_status_is_expected(expected_status: str, status_code: int, answer: bool) -> None:
    assert expects(expected_status, status_code) is answer
