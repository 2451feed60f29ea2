"""What a target must be like to be saved: one sentence for each field that isn't."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from targets.auth_rules import auth_problems
from targets.egress import UrlProblem, check_url
from targets.egress_settings import egress_policy
from targets.errors import InvalidFields
from targets.expected_status import parse_expected_status
from targets.models import HttpMethod
from targets.placeholders import RenderContext, TemplateProblem
from targets.request_spec import (
    is_json_template,
    is_json_type,
    media_type,
    render_body,
    render_headers,
    render_url,
)
from targets.secret_places import SecretPlace, SecretSource, place_problem, secret_places
from targets.secrets import Undecryptable
from targets.signing import signing_secret_problem

MAX_NAME_CHARS = 200
MAX_URL_TEMPLATE_CHARS = 2048
MAX_EXPECTED_STATUS_CHARS = 200
MAX_MUST_CONTAIN_CHARS = 10_000
MIN_TIMEOUT_SECONDS = 0.1
MAX_CONNECT_TIMEOUT_SECONDS = 120
MAX_CONCURRENCY = 10_000

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# NUL ends a text in PostgreSQL's protocol, and half a surrogate pair has no UTF-8.
_NOT_TEXT = re.compile(r"[\x00\ud800-\udfff]")
_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)

Values = Mapping[str, Any]


def check_target_fields(values: Values, secrets: Mapping[str, SecretSource]) -> None:
    """Check all fields of a target that users write, as they would be saved.

    Any method may have a body: what GET or HEAD with a body means is up to the target (RFC 9110, section 9.3.1).

    Args:
        values: the fields.
        secrets: those of the secrets named in them that exist.

    Raises:
        InvalidFields: with a sentence for every field that can't be saved.
    """
    problems = {name: problem(values) for name, problem in _PROBLEMS.items()}
    errors = {name: sentence for name, sentence in problems.items() if sentence is not None} | auth_problems(values)
    for place in places_in(values):
        sentence = place_problem(place, secrets)
        if sentence is not None:
            errors.setdefault(place.field, sentence)
    if errors:
        raise InvalidFields(errors)


def places_in(values: Values) -> list[SecretPlace]:
    """Every secret that the fields name; fields of a wrong type name none."""
    url, body, auth = values.get("url"), values.get("body_template"), values.get("auth")
    shaped = isinstance(auth, Mapping) and not auth_problems({"auth": auth})
    return list(
        secret_places(
            url=url if isinstance(url, str) else "",
            headers=_header_texts(values) or {},
            body_template=body if isinstance(body, str) else None,
            auth=auth if shaped and auth else None,
        )
    )


def _name(values: Values) -> str | None:
    name = values.get("name")
    sentence = _text(name, "The name", MAX_NAME_CHARS)
    if sentence is None and _CONTROLS.search(str(name)):
        return "The name has line breaks or other control characters. Take them out."
    if sentence is None and not str(name).strip():
        return "The name is empty. Give the target a name."
    return sentence


def _method(values: Values) -> str | None:
    if values.get("method") in HttpMethod.values:
        return None
    return f"The method must be one of {', '.join(HttpMethod.values)}."


def _url(values: Values) -> str | None:
    url = values.get("url")
    sentence = _text(url, "The URL", MAX_URL_TEMPLATE_CHARS)
    if sentence is not None:
        return sentence
    try:
        check_url(egress_policy(), render_url(str(url), _sample_context(values)))
    except (TemplateProblem, UrlProblem) as problem:
        return str(problem)
    return None


def _headers(values: Values) -> str | None:
    headers = _header_texts(values)
    if headers is None:
        return "Headers must be an object of names and text values."
    try:
        render_headers(headers, _sample_context(values))
    except TemplateProblem as problem:
        return str(problem)
    return None


def _body_template(values: Values) -> str | None:
    body = values.get("body_template")
    if body is None:
        return None
    sentence = _text(body, "The body")
    if sentence is not None:
        return sentence
    declared = media_type(_header_texts(values) or {})
    try:
        render_body(body, declared, _sample_context(values))
    except TemplateProblem as problem:
        return str(problem)
    if body and is_json_type(declared) and not is_json_template(body):
        return (
            "Content-Type says JSON, but the body is not JSON once its placeholders are filled in. "
            "Placeholders other than {{attempt}} and {{unix_timestamp}} must stand within quotes."
        )
    return None


def _timeout_seconds(values: Values) -> str | None:
    high = settings.MAX_TIMEOUT_SECONDS
    return _number(values.get("timeout_seconds"), "The timeout", high, f" (setting MAX_TIMEOUT_SECONDS = {high:g})")


def _connect_timeout_seconds(values: Values) -> str | None:
    return _number(values.get("connect_timeout_seconds"), "The connect timeout", MAX_CONNECT_TIMEOUT_SECONDS)


def _expected_status(values: Values) -> str | None:
    expected = values.get("expected_status")
    sentence = _text(expected, "The list of expected status codes", MAX_EXPECTED_STATUS_CHARS)
    if sentence is not None:
        return sentence
    try:
        parse_expected_status(str(expected))
    except ValueError as problem:
        return str(problem)
    return None


def _response_must_contain(values: Values) -> str | None:
    wanted = values.get("response_must_contain")
    return None if wanted is None else _text(wanted, "The text that a response must contain", MAX_MUST_CONTAIN_CHARS)


def _max_concurrency(values: Values) -> str | None:
    wanted = values.get("max_concurrency")
    if wanted is None or (type(wanted) is int and 1 <= wanted <= MAX_CONCURRENCY):
        return None
    return f"The maximum of calls at once must be a whole number from 1 to {MAX_CONCURRENCY}, or null for no limit."


def _signing_secret(values: Values) -> str | None:
    secret = values.get("signing_secret")
    if secret is None or isinstance(secret, Undecryptable):
        return None
    return _text(secret, "The signing secret") or signing_secret_problem(str(secret))


def _flag(name: str) -> Callable[[Values], str | None]:
    return lambda values: None if isinstance(values.get(name), bool) else f"{name} must be true or false."


_PROBLEMS: Mapping[str, Callable[[Values], str | None]] = {
    "name": _name,
    "method": _method,
    "url": _url,
    "headers": _headers,
    "body_template": _body_template,
    "timeout_seconds": _timeout_seconds,
    "connect_timeout_seconds": _connect_timeout_seconds,
    "follow_redirects": _flag("follow_redirects"),
    "verify_tls": _flag("verify_tls"),
    "expected_status": _expected_status,
    "response_must_contain": _response_must_contain,
    "max_concurrency": _max_concurrency,
    "signing_secret": _signing_secret,
}


def _text(value: object, subject: str, max_chars: int | None = None) -> str | None:
    if not isinstance(value, str):
        return f"{subject} must be text."
    if max_chars is not None and len(value) > max_chars:
        return f"{subject} has {len(value)} characters; at most {max_chars} are possible."
    if _NOT_TEXT.search(value):
        return f"{subject} contains a NUL character or half of a surrogate pair. Take it out."
    return None


def _number(value: object, subject: str, high: float, source: str = "") -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and MIN_TIMEOUT_SECONDS <= value <= high:
        return None
    return f"{subject} must be a number of seconds from {MIN_TIMEOUT_SECONDS:g} to {high:g}{source}."


def _header_texts(values: Values) -> Mapping[str, str] | None:
    headers = values.get("headers")
    if not isinstance(headers, Mapping):
        return None
    if not all(isinstance(part, str) for header in headers.items() for part in header):
        return None
    return headers


def _sample_context(values: Values) -> RenderContext:
    """Values like those of a Run; the target's name is the real one, so that what it breaks shows now."""
    name = values.get("name")
    return RenderContext(
        run_id=UUID(int=0),
        created_at=_MOMENT,
        scheduled_at=_MOMENT,
        attempt_number=1,
        schedule_id=UUID(int=0),
        schedule_name="sample",
        target_name=name if isinstance(name, str) else "sample",
        attempted_at=_MOMENT,
        secrets=None,
    )
