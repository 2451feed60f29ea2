"""Which request follows a redirect (RFC 9110, section 15.4; guarantee D3). Pure."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urljoin

from runs.outcome import ErrorType
from targets.egress import UrlProblem, parse_url
from targets.request_spec import RequestSpec
from worker.call import Failure
from worker.response_text import printable

MAX_REDIRECTS = 5
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
# What any client would send: everything else was written for the first origin only.
_SENT_ANYWHERE = frozenset({"user-agent", "accept", "accept-language"})
_ABOUT_THE_BODY = ("content-",)


def next_hop(request: RequestSpec, status_code: int, location: str) -> RequestSpec:
    """The request that follows `request` after an answer with `status_code` and `location`.

    Raises:
        Failure: `redirect`, where it leads from https to http or to no URL that can be called.
    """
    here = parse_url(request.url)
    try:
        there = parse_url(urljoin(request.url, location))
    except ValueError as error:
        reason = f" {error}" if isinstance(error, UrlProblem) else ""
        message = f"The target redirected to {shown(location)}, which can't be followed.{reason}"
        raise Failure(ErrorType.REDIRECT, message) from None
    if here.scheme == "https" and there.scheme == "http":
        message = f"The target redirected from https to {shown(there.text)}; a step down to http is not followed."
        raise Failure(ErrorType.REDIRECT, message)
    hop = replace(request, url=there.text)
    to_get = request.method != "HEAD" if status_code == 303 else status_code in (301, 302) and request.method == "POST"
    if to_get:
        kept = {name: value for name, value in hop.headers.items() if not name.lower().startswith(_ABOUT_THE_BODY)}
        hop = replace(hop, method="GET", body=None, headers=kept)
    if here.origin != there.origin:
        kept = {name: value for name, value in hop.headers.items() if name.lower() in _SENT_ANYWHERE}
        hop = replace(hop, body=None, headers=kept)
    return hop


def shown(location: str) -> str:
    """A Location for a sentence: no control characters, not too long."""
    text = printable(location)
    return text if len(text) <= 200 else f"{text[:200]}..."
