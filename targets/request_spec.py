"""A target's request: the template that users write, and the finished request that the executor sends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn
from urllib.parse import quote
from uuid import UUID, uuid5

from targets.egress import UrlProblem, parse_url
from targets.header_rules import header_problem

VERSION = "0.1.0"
USER_AGENT = f"api-scheduler/{VERSION}"
MAX_BODY_BYTES = 256 * 1024
JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"
FORM_TYPE = "application/x-www-form-urlencoded"

_PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")
# Everything before path and query of a URL template.
_ORIGIN = re.compile(r"[^/?#]*(?://)?[^/?#]*")
# Values that are numbers may stand outside quotes in a JSON body.
_NUMBERS = frozenset({"unix_timestamp", "attempt"})
# A character that JSON accepts inside quotes only, and never after a backslash.
_TEXT_PROBE = "\ue000"


class TemplateProblem(ValueError):
    """A template that gives no request; the message is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """What a target says about its request, placeholders included. Times are in seconds."""

    method: str
    url: str
    headers: Mapping[str, str]
    body_template: str | None
    timeout_seconds: float
    connect_timeout_seconds: float
    follow_redirects: bool
    verify_tls: bool
    expected_status: str
    response_must_contain: str | None


@dataclass(frozen=True, slots=True)
class RenderContext:
    """The values behind the placeholders. `created_at` and `scheduled_at` are aware."""

    run_id: UUID
    created_at: datetime
    scheduled_at: datetime
    attempt_number: int
    schedule_id: UUID | None
    schedule_name: str
    target_name: str


@dataclass(frozen=True, slots=True)
class RequestSpec:
    """A finished request. `headers` holds everything that is sent but Host, Content-Length and Accept-Encoding."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    timeout_seconds: float
    connect_timeout_seconds: float
    follow_redirects: bool
    verify_tls: bool
    expected_status: str
    response_must_contain: str | None


def rfc3339(moment: datetime) -> str:
    """An aware moment in UTC, with `Z`; fractions of a second only where there are any."""
    return moment.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


# All but `attempt` are the same on every attempt of a Run.
PLACEHOLDERS: Mapping[str, Callable[[RenderContext], str]] = {
    "timestamp": lambda context: rfc3339(context.created_at),
    "unix_timestamp": lambda context: str(int(context.created_at.timestamp())),
    "run_id": lambda context: str(context.run_id),
    "scheduled_at": lambda context: rfc3339(context.scheduled_at),
    "attempt": lambda context: str(context.attempt_number),
    "schedule_id": lambda context: str(context.schedule_id or ""),
    "schedule_name": lambda context: context.schedule_name,
    "target_name": lambda context: context.target_name,
    "uuid": lambda context: str(uuid5(context.run_id, "uuid")),
}


def find_placeholders(text: str) -> list[str]:
    """The names between double braces, known or not, in the order in which they stand."""
    return [name.strip() for name in _PLACEHOLDER.findall(text)]


def render_request(template: RequestTemplate, context: RenderContext) -> RequestSpec:
    """Fill the placeholders in, once: what a value brings along is never filled in again.

    Raises:
        TemplateProblem: a placeholder is unknown or misplaced, or the result may not be sent.
    """
    headers = render_headers(template.headers, context)
    declared = media_type(headers)
    body = render_body(template.body_template, declared, context)
    sent = {"User-Agent": USER_AGENT}
    if body and declared is None:
        sent["Content-Type"] = JSON_TYPE if is_json_template(template.body_template or "") else TEXT_TYPE
    given = {name.lower() for name in headers}
    return RequestSpec(
        method=template.method,
        url=render_url(template.url, context),
        headers={
            **{name: value for name, value in sent.items() if name.lower() not in given},
            **headers,
            **_own_headers(context),
        },
        body=body,
        timeout_seconds=template.timeout_seconds,
        connect_timeout_seconds=template.connect_timeout_seconds,
        follow_redirects=template.follow_redirects,
        verify_tls=template.verify_tls,
        expected_status=template.expected_status,
        response_must_contain=template.response_must_contain,
    )


def render_url(url: str, context: RenderContext) -> str:
    """The URL as it is called: ASCII, normalised, without a fragment, values percent-encoded.

    Raises:
        TemplateProblem: see `render_request`; also a value that would climb out of its place in the path.
    """
    _refuse_unknown(url)
    path_start = len(_ORIGIN.findall(url)[0])
    _refuse_placeholders(url[:path_start], "the scheme, host and port of a URL")
    before, hash_mark, fragment = url[path_start:].partition("#")
    _refuse_placeholders(fragment, "the fragment of a URL")
    filled = _fill(before, context, _percent_encode)
    for wanted, got in zip(before.partition("?")[0].split("/"), filled.partition("?")[0].split("/"), strict=True):
        if wanted != got and got.lower().replace("%2e", ".") in (".", ".."):
            raise TemplateProblem(f"{wanted} becomes {got}, which would change the path of the URL.")
    try:
        return parse_url(url[:path_start] + filled + hash_mark + fragment).text
    except UrlProblem as problem:
        raise TemplateProblem(str(problem)) from None


def render_headers(headers: Mapping[str, str], context: RenderContext) -> dict[str, str]:
    """The user's headers with placeholders filled in; surrounding white space is no part of a value (RFC 9110, 5.5).

    Raises:
        TemplateProblem: a placeholder is unknown, or the result breaks a rule of `header_rules`.
    """
    rendered = {name: _fill(value, context, str).strip(" \t") for name, value in headers.items()}
    problem = header_problem(rendered)
    if problem is not None:
        raise TemplateProblem(problem)
    return rendered


def render_body(body_template: str | None, declared: str | None, context: RenderContext) -> bytes | None:
    """The body in UTF-8; None is no body. `declared` is the media type in the headers, if any.

    Values are escaped as the content of JSON strings in a JSON body, and percent-encoded in a form.

    Raises:
        TemplateProblem: a placeholder is unknown, or the body is too large or not text.
    """
    if body_template is None:
        return None
    escape: Callable[[str], str] = _percent_encode if declared == FORM_TYPE else str
    if is_json_type(declared) or (declared is None and is_json_template(body_template)):
        escape = _json_escape
    body = _fill(body_template, context, escape).encode(errors="replace")
    if len(body) > MAX_BODY_BYTES:
        raise TemplateProblem(f"The body has {len(body)} bytes; at most {MAX_BODY_BYTES} can be sent.")
    return body


def media_type(headers: Mapping[str, str]) -> str | None:
    """The media type in Content-Type, lower-case and without parameters; None without that header."""
    for name, value in headers.items():
        if name.lower() == "content-type":
            return value.partition(";")[0].strip().lower()
    return None


def is_json_type(declared: str | None) -> bool:
    """Whether a media type is JSON (RFC 8259; RFC 6839 for the suffix)."""
    return declared is not None and (declared == JSON_TYPE or declared.endswith("+json"))


def is_json_template(body_template: str) -> bool:
    """Whether the template is JSON whatever its placeholders stand for: numbers anywhere, text within quotes only."""
    probed = _PLACEHOLDER.sub(lambda match: "1" if match[1].strip() in _NUMBERS else _TEXT_PROBE, body_template)
    try:
        json.loads(probed, parse_int=str, parse_float=str, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return False
    return True


def _fill(text: str, context: RenderContext, escape: Callable[[str], str]) -> str:
    _refuse_unknown(text)
    return _PLACEHOLDER.sub(lambda match: escape(PLACEHOLDERS[match[1].strip()](context)), text)


def _refuse_unknown(text: str) -> None:
    for name in find_placeholders(text):
        if name not in PLACEHOLDERS:
            known = ", ".join(PLACEHOLDERS)
            raise TemplateProblem(f"{{{{{name[:50]}}}}} is not a placeholder. The placeholders are: {known}.")


def _own_headers(context: RenderContext) -> dict[str, str]:
    own = {
        "Idempotency-Key": str(context.run_id),
        "X-Scheduler-Run-Id": str(context.run_id),
        "X-Scheduler-Attempt": str(context.attempt_number),
        "X-Scheduler-Scheduled-At": rfc3339(context.scheduled_at),
    }
    if context.schedule_id is not None:
        own["X-Scheduler-Schedule-Id"] = str(context.schedule_id)
    return own


def _refuse_placeholders(text: str, place: str) -> None:
    if find_placeholders(text):
        raise TemplateProblem(f"Placeholders cannot stand in {place}; only in its path and query.")


def _percent_encode(value: str) -> str:
    return quote(value, safe="", errors="replace")


def _json_escape(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1]


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
