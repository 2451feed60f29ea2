"""What every request passes before anything looks at it: who vouches for its forwarded headers, and its id."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from django.db import Error as DatabaseError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from access.audit import acting, record_refusal
from access.client_address import client_address, is_trusted_proxy
from access.keys import KeyRefused
from access.principals import actor_of, actor_of_key
from access.request_id import HEADER, choose_request_id, set_request_id

logger = logging.getLogger(__name__)
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


class AuditMiddleware:
    """Tells the audit trail who acts, and writes down refused keys and whatever was answered 403."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request with its sender in the audit's context."""
        with acting(partial(actor_of, request)):
            response = self.get_response(request)
            refusal: KeyRefused | None = getattr(request, "key_refusal", None)
            if refusal is not None or response.status_code == 403:
                self._note(request, refusal)
        return response

    def _note(self, request: HttpRequest, refusal: KeyRefused | None) -> None:
        place = f"{request.method} {request.path[:200]}"
        try:
            if refusal is None:
                record_refusal("access.denied", now=timezone.now(), detail=place)
                return
            key = actor_of_key(refusal.key, address=client_address(request)) if refusal.key else None
            record_refusal("key.refused", now=timezone.now(), detail=f"{refusal} {place}", actor=key)
        except DatabaseError as error:
            # The refusal stands; it must not become an error because it can't be written down.
            logger.warning("A refusal could not be put on record", exc_info=error, extra={"action": "audit_failed"})
