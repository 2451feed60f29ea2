"""What an attempt came to: the closed list of errors, the value that the executor returns, and the judgement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus

from targets.expected_status import parse_expected_status

_SHOWN_CHARS = 200


class ErrorType(StrEnum):
    """Every way in which an attempt can fail, and `none`."""

    NONE = "none"
    TIMEOUT = "timeout"
    DNS = "dns"
    CONNECTION = "connection"
    SSL = "ssl"
    CLIENT_ERROR = "client_error"
    SERVER_ERROR = "server_error"
    REDIRECT = "redirect"
    BLOCKED = "blocked"
    TEMPLATE = "template"
    UNEXPECTED_RESPONSE = "unexpected_response"
    BAD_RESPONSE = "bad_response"
    WORKER_LOST = "worker_lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of an attempt went, in milliseconds; None where there was no such phase.

    Look-up, connect and TLS are durations (over all hops of a redirect); the first byte, which is when the head of the
    last response was complete, and the total count from the start of the attempt.
    """

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    ttfb_ms: float | None = None
    total_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one HTTP try. `error_type` is `ErrorType.NONE` for a success."""

    error_type: ErrorType
    error_message: str = ""
    latency_ms: float = 0.0
    status_code: int | None = None
    response_headers: Mapping[str, str] = field(default_factory=dict)
    response_body: str = ""
    response_truncated: bool = False
    response_size_bytes: int | None = None
    timings: Timings = field(default_factory=Timings)
    remote_ip: str | None = None
    # The worker had lost the right to send before a byte left: hand the ticket back instead of recording it.
    withheld: bool = False


def expects(expected_status: str, status_code: int) -> bool:
    """Whether `expected_status`, such as `200-299,404`, names the status code.

    Raises:
        ValueError: `expected_status` is not such a list; none that was saved is.
    """
    return any(status_code in part for part in parse_expected_status(expected_status))


def judge(
    *,
    status_code: int,
    expected_status: str,
    response_must_contain: str | None,
    body: str,
    follow_redirects: bool = False,
    location: str | None = None,
) -> tuple[ErrorType, str]:
    """What a complete response comes to, and one sentence where that is a failure.

    `body` is the stored part of it; `location` is its Location header. The order of the questions is part of the
    interface: an expected status is a success whatever it is, unless the text that must be there is missing.
    """
    if expects(expected_status, status_code):
        if response_must_contain and response_must_contain not in body:
            text = _shortened(response_must_contain)
            sentence = f"The target answered {_named(status_code)}, but the stored part of its body lacks {text!r}."
            return ErrorType.UNEXPECTED_RESPONSE, sentence
        return ErrorType.NONE, ""
    answered = f"The target answered {_named(status_code)}"
    if 300 <= status_code <= 399:
        where = "without a Location" if location is None else f"to {_shortened(location)}"
        off = "; follow_redirects is off" if location is not None and not follow_redirects else ""
        return ErrorType.REDIRECT, f"{answered} {where}{off}."
    if 400 <= status_code <= 599:
        return ErrorType.SERVER_ERROR if status_code >= 500 else ErrorType.CLIENT_ERROR, f"{answered}."
    return ErrorType.UNEXPECTED_RESPONSE, f"{answered}; expected_status is {expected_status}."


def _named(status_code: int) -> str:
    """The code with its registered name (RFC 9110, section 15): the target's own words are not to be trusted."""
    try:
        return f"{status_code} {HTTPStatus(status_code).phrase}"
    except ValueError:
        return str(status_code)


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
