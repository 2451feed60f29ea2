"""The one door to the network: sends one request of a call and hands back the response, its body unread."""

from __future__ import annotations

import logging
import ssl
from functools import lru_cache, partial
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util import Timeout

from runs.outcome import ErrorType
from targets.egress import EgressPolicy, UrlParts, UrlProblem, parse_url
from targets.request_spec import RequestSpec
from worker.call import Call, Failure
from worker.connections import Answer, CallPool, GuardedConnection, GuardedTLSConnection, IdleConnections, Origin
from worker.dial import Dialer
from worker.resolver import Resolver

# Its warnings quote URLs and headers, which can hold secrets; every failure is in its attempt anyway.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)


# Nobody asks for it: GuardedConnection sets the time-outs of sockets.
_NO_TIMEOUT = Timeout(None)


class CallRequest(requests.PreparedRequest):
    """A prepared request that carries its call through requests. Prepared here: what requests would look at in every
    call was looked at when the target was saved and when the request was rendered.
    """

    call: Call
    origin: Origin
    target: str


@lru_cache(maxsize=1024)
def _read_url(url: str) -> tuple[UrlParts, str]:
    """The URL taken apart, and its path and query as requests sends them. Most calls are made again and again."""
    parts = parse_url(url)
    prepared = requests.PreparedRequest()
    prepared.prepare_url(parts.text, None)
    return parts, prepared.path_url


def tls_contexts() -> dict[bool, ssl.SSLContext]:
    """TLS 1.2 and later, with and without certificate check.

    Trusted are certifi's authorities and the system's own, so that an operator can add a private one there.
    """
    checked = ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)
    checked.load_default_certs()
    unchecked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unchecked.check_hostname = False
    unchecked.verify_mode = ssl.CERT_NONE
    for context in (checked, unchecked):
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
    return {True: checked, False: unchecked}


class Transport(HTTPAdapter):
    """Nothing but the request decides what is sent: no environment proxies, no .netrc, no cookies, no retries.

    Thread-safe.
    """

    def __init__(self, policy: EgressPolicy, resolver: Resolver, idle_limit: int) -> None:
        """At most `idle_limit` connections are kept between calls."""
        super().__init__()
        self.contexts = tls_contexts()
        self._dialer = Dialer(policy, resolver, self.contexts)
        self._idle = IdleConnections(idle_limit)

    def fetch(self, request: RequestSpec, call: Call) -> Answer:
        """Send `request` and read the head of its response. Close what comes back, or read it to its end.

        Raises:
            Failure: there is no response.
            Withheld: the call may not send.
        """
        try:
            parts, target = _read_url(request.url)
        except UrlProblem as problem:
            raise Failure(ErrorType.BLOCKED, str(problem)) from None
        call.begin_hop(parts.host)
        prepared = CallRequest()
        prepared.method, prepared.url, prepared.body = request.method, request.url, request.body
        prepared.headers = {**request.headers, "Accept-Encoding": "gzip, deflate"}  # type: ignore[assignment]
        prepared.call, prepared.target = call, target
        prepared.origin = Origin(parts.scheme, parts.host, parts.port, call.verify_tls)
        response = self.send(prepared, stream=True, timeout=_NO_TIMEOUT)  # type: ignore[arg-type]
        return cast("Answer", response.raw)

    def close(self) -> None:
        """Close the idle connections."""
        self._idle.close()
        super().close()

    def get_connection_with_tls_context(  # type: ignore[override]
        self, request: requests.PreparedRequest, *_: Any, **__: Any
    ) -> CallPool:
        """The pool of this call: requests sends through it."""
        if not isinstance(request, CallRequest):
            raise TypeError("send requests through fetch()")
        origin = request.origin
        kind = GuardedTLSConnection if origin.scheme == "https" else GuardedConnection
        new = partial(kind, self._dialer, origin.host, origin.port)
        return CallPool(request.call, origin, self._idle, new)

    def request_url(self, request: requests.PreparedRequest, *_: Any) -> str:
        """Path and query."""
        return request.target if isinstance(request, CallRequest) else super().request_url(request, None)

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Nothing to set up: the TLS contexts are made once."""

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """A response without a cookie jar: cookies never travel."""
        response = requests.Response()
        response.raw = resp
        response.request = req
        return response
