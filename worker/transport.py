"""The one door to the network: sends one request of a call and hands back the response, its body unread."""

from __future__ import annotations

import logging
import ssl
from functools import partial
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.response import HTTPResponse

from runs.outcome import ErrorType
from targets.egress import EgressPolicy, UrlProblem, parse_url
from targets.request_spec import RequestSpec
from worker.call import Call, Failure
from worker.connections import CallPool, GuardedConnection, GuardedTLSConnection, IdleConnections, Origin
from worker.dial import Dialer
from worker.resolver import Resolver

# Its warnings quote URLs and headers, which can hold secrets; every failure is in its attempt anyway.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)


class CallRequest(requests.PreparedRequest):
    """A prepared request that carries its call through requests and urllib3."""

    call: Call
    origin: Origin


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

    def fetch(self, request: RequestSpec, call: Call) -> HTTPResponse:
        """Send `request` and read the head of its response. Close what comes back, or read it to its end.

        Raises:
            Failure: there is no response.
            Withheld: the call may not send.
        """
        try:
            parts = parse_url(request.url)
        except UrlProblem as problem:
            raise Failure(ErrorType.BLOCKED, str(problem)) from None
        call.begin_hop(parts.host)
        prepared = CallRequest()
        prepared.prepare(
            method=request.method,
            url=parts.text,
            headers={**request.headers, "Accept-Encoding": "gzip, deflate"},
            data=request.body,
        )
        prepared.call = call
        prepared.origin = Origin(parts.scheme, parts.host, parts.port, call.verify_tls)
        # The time-out is per read and only a second line behind the watchdog.
        response: HTTPResponse = self.send(prepared, stream=True, timeout=call.timeout_seconds).raw
        return response

    def close(self) -> None:
        """Close the idle connections."""
        self._idle.close()
        super().close()

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, *_: Any, **__: Any
    ) -> HTTPConnectionPool:
        """The pool of this call: requests sends through it."""
        if not isinstance(request, CallRequest):
            raise TypeError("send requests through fetch()")
        origin = request.origin
        kind = GuardedTLSConnection if origin.scheme == "https" else GuardedConnection
        new = partial(kind, self._dialer, origin.host, origin.port)
        return CallPool(request.call, origin, self._idle, new)

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Nothing to set up: the TLS contexts are made once."""

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """A response without a cookie jar: cookies never travel."""
        response = requests.Response()
        response.raw = resp
        response.request = req
        return response
