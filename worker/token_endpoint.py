"""What is said to a token endpoint, and what its answer means (RFC 6749, sections 4.4 and 5)."""

from __future__ import annotations

import base64
import json
import math
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlencode

from runs.outcome import ErrorType
from targets.auth import ClientCredentials
from targets.egress import parse_url
from targets.request_spec import FORM_TYPE, USER_AGENT, RequestSpec
from worker.call import Failure

# RFC 6749, section 5.2: the only words of an error answer that are passed on. Others could be anything.
_ERRORS = frozenset(
    {"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"}
    | {"invalid_scope"}
)
# May be different next time, though they are 4xx (as for targets).
_PASSING = frozenset({408, 425, 429})
# RFC 6750, section 2.1, and whatever else can be sent in a header.
_TOKEN = re.compile(r"[\x21-\x7e]{1,8000}")
# For answers without expires_in, which section 5.1 only recommends.
DEFAULT_SECONDS = 300.0
LONGEST_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A bearer token, and for how many seconds from its request it is valid."""

    value: str = field(repr=False)
    seconds: float


def token_request(
    credentials: ClientCredentials, *, timeout_seconds: float, connect_timeout_seconds: float
) -> RequestSpec:
    """The request for a token. A redirect is not followed: the credentials are for this address only."""
    form = {"grant_type": "client_credentials"}
    if credentials.scope:
        form["scope"] = credentials.scope
    headers = {"User-Agent": USER_AGENT, "Accept": "application/json", "Content-Type": FORM_TYPE}
    if credentials.client_auth == "body":
        form |= {"client_id": credentials.client_id, "client_secret": credentials.client_secret}
    else:
        # RFC 6749, section 2.3.1: each of the two is form-encoded before they are joined.
        pair = f"{quote_plus(credentials.client_id)}:{quote_plus(credentials.client_secret)}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return RequestSpec(
        method="POST",
        url=credentials.token_url,
        headers=headers,
        body=urlencode(form).encode(),
        timeout_seconds=timeout_seconds,
        connect_timeout_seconds=connect_timeout_seconds,
        follow_redirects=False,
        verify_tls=credentials.verify_tls,
        expected_status="200-299",
        response_must_contain=None,
    )


def read_token(credentials: ClientCredentials, status_code: int, body: bytes) -> AccessToken:
    """The token in a complete answer. Nothing of the answer but known words gets into a sentence.

    Raises:
        Failure: there is none; the sentence names the token endpoint.
    """
    if not 200 <= status_code <= 299:
        raise no_token(credentials, _class_of(status_code), f"it answered {status_code}{_error_word(body)}.")
    answer = _parsed(body)
    value, kind = answer.get("access_token"), answer.get("token_type", "bearer")
    if not isinstance(value, str) or _TOKEN.fullmatch(value) is None:
        raise no_token(credentials, ErrorType.BAD_RESPONSE, "its answer has no access_token that can be sent.")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise no_token(credentials, ErrorType.BAD_RESPONSE, "the token_type in its answer is not Bearer.")
    return AccessToken(value, _seconds(answer.get("expires_in")))


def no_token(credentials: ClientCredentials, error_type: ErrorType, reason: str) -> Failure:
    """The failure of a call whose token could not be had."""
    parts = parse_url(credentials.token_url)
    return Failure(error_type, f"No access token from {parts.origin}{parts.target.partition('?')[0][:200]}: {reason}")


def _class_of(status_code: int) -> ErrorType:
    if 300 <= status_code <= 399:
        return ErrorType.REDIRECT
    if 400 <= status_code <= 499 and status_code not in _PASSING:
        return ErrorType.CLIENT_ERROR
    return ErrorType.SERVER_ERROR


def _error_word(body: bytes) -> str:
    word = _parsed(body).get("error")
    return f" ({word})" if word in _ERRORS else ""


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _seconds(expires_in: object) -> float:
    if expires_in is None:
        return DEFAULT_SECONDS
    try:
        # Some servers send the number as text.
        seconds = float(expires_in) if isinstance(expires_in, int | float | str) else 0.0
    except (ValueError, OverflowError):
        return 0.0
    return min(seconds, LONGEST_SECONDS) if math.isfinite(seconds) else 0.0
