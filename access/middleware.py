"""What every request passes before anything looks at it: who vouches for its forwarded headers, and its id."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from access.client_address import is_trusted_proxy
from access.request_id import HEADER, choose_request_id, set_request_id

GetResponse = Callable[[HttpRequest], HttpResponseBase]
# What proxies write and anybody can send. X-Forwarded-For stays: `client_address` itself judges each hop of it.
FORWARDED = ("HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT", "HTTP_FORWARDED")


class TrustedProxyMiddleware:
    """Drops X-Forwarded-Proto and the like unless the peer is in TRUSTED_PROXIES: a stranger's word is no TLS."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request without what must not count."""
        if not is_trusted_proxy(str(request.META.get("REMOTE_ADDR", ""))):
            for name in FORWARDED:
                request.META.pop(name, None)
        return self.get_response(request)


class RequestIdMiddleware:
    """Gives the request an id, the client's own where that is fit to print, and answers with it."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request under its id."""
        chosen = choose_request_id(request.headers.get(HEADER))
        set_request_id(chosen)
        try:
            response = self.get_response(request)
        finally:
            set_request_id("")
        response[HEADER] = chosen
        return response
