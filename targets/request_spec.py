"""A target's request: the template that users write, and the finished request that the executor sends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import quote

from targets.auth import Auth, ClientCredentials, auth_headers, client_credentials, filled, with_query_key
from targets.egress import UrlParts, UrlProblem, parse_url
from targets.header_rules import header_problem
from targets.masking import MASK, mask_headers
from targets.placeholders import (
    NUMBERS,
    PLACEHOLDER,
    SECRET_PREFIX,
    RenderContext,
    TemplateProblem,
    fill,
    find_placeholders,
    refuse_unknown,
    rfc3339,
)
from targets.scrubbing import known_secrets, scrubber_of
from targets.signing import signature_headers

VERSION = "0.1.0"
USER_AGENT = f"api-scheduler/{VERSION}"
MAX_BODY_BYTES = 256 * 1024
JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"
FORM_TYPE = "application/x-www-form-urlencoded"

# Everything before path and query of a URL template.
_ORIGIN = re.compile(r"[^/?#]*(?://)?[^/?#]*")
# A character that JSON accepts inside quotes only, and never after a backslash.
_TEXT_PROBE = "\ue000"


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
    auth: Auth | None = field(default=None, repr=False)
    # The newest first; during a rotation there are two.
    signing_secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class ShownRequest:
    """What may be stored and shown of a request."""

    url: str
    headers: Mapping[str, str]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class RequestSpec:
    """A finished request. `headers` holds everything that is sent but Host, Content-Length and Accept-Encoding, and but
    the access token that `client_credentials` get first. `secrets` is what must not be stored of any answer.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    timeout_seconds: float
    connect_timeout_seconds: float
    follow_redirects: bool
    verify_tls: bool
    expected_status: str
    response_must_contain: str | None
    client_credentials: ClientCredentials | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)


def render_request(template: RequestTemplate, context: RenderContext) -> RequestSpec:
    """Fill the placeholders in, once: what a value brings along is never filled in again.

    Raises:
        TemplateProblem: a placeholder is unknown or misplaced, or the result may not be sent.
    """
    auth = filled(template.auth, context)
    headers = {**render_headers(template.headers, context), **auth_headers(auth)}
    _refuse_headers(headers)
    declared = media_type(headers)
    body = render_body(template.body_template, declared, context)
    sent = {"User-Agent": USER_AGENT}
    if body and declared is None:
        sent["Content-Type"] = JSON_TYPE if is_json_template(template.body_template or "") else TEXT_TYPE
    given = {name.lower() for name in headers}
    run, at = str(context.run_id), context.attempted_at
    headers = {
        **{name: value for name, value in sent.items() if name.lower() not in given},
        **headers,
        **own_headers(context),
        **signature_headers(template.signing_secrets, message_id=run, at=at, body=body),
    }
    named = (context.secrets or {}).values()
    return RequestSpec(
        method=template.method,
        url=with_query_key(render_url(template.url, context), auth),
        headers=headers,
        body=body,
        timeout_seconds=template.timeout_seconds,
        connect_timeout_seconds=template.connect_timeout_seconds,
        follow_redirects=template.follow_redirects,
        verify_tls=template.verify_tls,
        expected_status=template.expected_status,
        response_must_contain=template.response_must_contain,
        client_credentials=client_credentials(auth, verify_tls=template.verify_tls),
        secrets=known_secrets(headers=headers, auth=auth, signing_secrets=template.signing_secrets, named=named),
    )


def shown_request(masked: RequestSpec, secrets: tuple[str, ...]) -> ShownRequest:
    """What is stored of a request that was rendered without secrets: headers masked, `secrets` wherever they are."""
    headers = mask_headers(masked.headers)
    if masked.client_credentials:
        headers["Authorization"] = MASK
    scrub = scrubber_of(secrets).text
    return ShownRequest(
        url=scrub(masked.url),
        headers={name: scrub(value) for name, value in headers.items()},
        body=None if masked.body is None else scrub(masked.body.decode()).encode(),
    )


def render_url(url: str, context: RenderContext) -> str:
    """The URL as it is called: ASCII, normalised, without a fragment, values percent-encoded.

    Raises:
        TemplateProblem: see `render_request`; also a value that would climb out of its place in the path.
    """
    refuse_unknown(url)
    path_start = len(_ORIGIN.findall(url)[0])
    _refuse_placeholders(url[:path_start], "the scheme, host and port of a URL")
    before, hash_mark, fragment = url[path_start:].partition("#")
    _refuse_secrets(before.partition("?")[0])
    _refuse_placeholders(fragment, "the fragment of a URL")
    filled = fill(before, context, _percent_encode)
    for wanted, got in zip(before.partition("?")[0].split("/"), filled.partition("?")[0].split("/"), strict=True):
        if wanted != got and got.lower().replace("%2e", ".") in (".", ".."):
            raise TemplateProblem(f"{wanted} becomes {got}, which would change the path of the URL.")
    try:
        return parse_url(url[:path_start] + filled + hash_mark + fragment).text
    except UrlProblem as problem:
        raise TemplateProblem(str(problem)) from None


def origin_of(url: str) -> UrlParts:
    """Scheme, host and port of a URL template, in which no placeholder can stand.

    Raises:
        UrlProblem: they are none that can be called.
    """
    return parse_url(_ORIGIN.findall(url)[0])


def render_headers(headers: Mapping[str, str], context: RenderContext) -> dict[str, str]:
    """The user's headers with placeholders filled in; surrounding white space is no part of a value (RFC 9110, 5.5).

    Raises:
        TemplateProblem: a placeholder is unknown, or the result breaks a rule of `header_rules`.
    """
    rendered = {name: fill(value, context, str).strip(" \t") for name, value in headers.items()}
    _refuse_headers(rendered)
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
    body = fill(body_template, context, escape).encode(errors="replace")
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
    probed = PLACEHOLDER.sub(lambda match: "1" if match[1].strip() in NUMBERS else _TEXT_PROBE, body_template)
    try:
        json.loads(probed, parse_int=str, parse_float=str, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_headers(headers: Mapping[str, str]) -> None:
    problem = header_problem(headers)
    if problem is not None:
        raise TemplateProblem(problem)


def own_headers(context: RenderContext) -> dict[str, str]:
    """What every request of a Run carries; no header of the user's may have one of these names."""
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


def _refuse_secrets(path: str) -> None:
    if any(name.startswith(SECRET_PREFIX) for name in find_placeholders(path)):
        raise TemplateProblem(
            "Secrets cannot stand in the path of a URL; only in its query, in headers and in the body."
        )


def _percent_encode(value: str) -> str:
    return quote(value, safe="", errors="replace")


def _json_escape(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1]


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
