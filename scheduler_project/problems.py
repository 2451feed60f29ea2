"""Problems: the one shape of every error the API answers (RFC 9457), and the exceptions that carry them.

A body problem points with a JSON pointer (RFC 6901), such as `/interval_seconds`; a query parameter with a question
mark before its name, such as `?limit`; a header with its name and a colon, such as `If-Match:`. The empty pointer is
the body as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse
from rest_framework.exceptions import APIException

from access.request_id import current_request_id

MEDIA_TYPE = "application/problem+json"
# RFC 9110 renamed these two after Python 3.11 had its phrases.
TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
DATABASE_RETRY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong with the request: where, a stable code, and a sentence."""

    pointer: str
    code: str
    detail: str

    def __str__(self) -> str:
        place = self.pointer.removeprefix("/").removesuffix(":")
        return f"{place}: {self.detail}" if place else self.detail


def pointer_to(*steps: str | int) -> str:
    """The JSON pointer of a path of keys and indexes (RFC 6901: `~` and `/` are escaped)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


class Problem(APIException):
    """An answer other than success; subclasses fix the status, `errors` says what is wrong where."""

    status_code = 500

    def __init__(
        self, detail: str, errors: Sequence[FieldError] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


class NotJson(Problem):
    """400: the body is not JSON (RFC 8259) in UTF-8."""

    status_code = 400


class Conflict(Problem):
    """409: the thing's state doesn't allow this now."""

    status_code = 409


class PreconditionFailed(Problem):
    """412: `If-Match` names another version (RFC 9110, section 13.1.1)."""

    status_code = 412


class TooLarge(Problem):
    """413: the body is too long or too deep."""

    status_code = 413


class Unacceptable(Problem):
    """422: well-formed, but its values can't be accepted; every wrong place is listed."""

    status_code = 422

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__(summary_of(errors), errors)


def bad_query(name: str, detail: str, code: str = "invalid") -> Unacceptable:
    """The 422 for one query parameter."""
    return Unacceptable([FieldError(f"?{name}", code, detail)])


def bad_fields(errors: Mapping[str, str], code: str = "invalid") -> Unacceptable:
    """The 422 for fields of the body, by name; a dot leads into an object, the empty name is the body as a whole."""
    places = {name: pointer_to(*name.split(".")) if name else "" for name in errors}
    return Unacceptable([FieldError(places[name], code, detail) for name, detail in errors.items()])


def summary_of(errors: Sequence[FieldError]) -> str:
    """One line for people: the first error, and how many more there are."""
    if not errors:
        return "The request can't be accepted."
    rest = len(errors) - 1
    return str(errors[0]) if not rest else f"{errors[0]} (and {rest} more: see errors)"


def problem_body(status: int, detail: str, errors: Sequence[FieldError] = ()) -> dict[str, Any]:
    """The members of a problem document; `type` is about:blank, so `title` is the status phrase (RFC 9457, 4.2.1).

    `request_id`, an extension of ours, is what the log lines and audit events of the request carry.
    """
    return {
        "type": "about:blank",
        "title": TITLES.get(status) or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "errors": [asdict(error) for error in errors],
        "request_id": current_request_id(),
    }


def problem_response(
    status: int, detail: str, errors: Sequence[FieldError] = (), headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """A problem as a plain Django response, for places outside REST framework's views."""
    body = json.dumps(problem_body(status, detail, errors))
    return HttpResponse(body, status=status, content_type=MEDIA_TYPE, headers=dict(headers or {}))
