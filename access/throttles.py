"""How often one client may ask: API_THROTTLE per key or user, and per address for those who fail to sign in.

Counts live in Django's cache, which the web processes of one gunicorn share. Each further web host counts by itself;
point CACHES at a cache that all of them reach where that matters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpRequest
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from access.client_address import client_address
from access.principals import principal_of

if TYPE_CHECKING:
    from rest_framework.views import APIView  # it imports this module through its settings


class _RateFromSettings(SimpleRateThrottle):
    def get_rate(self) -> str | None:
        rate: str | None = settings.API_THROTTLE
        return rate

    def parse_rate(self, rate: str | None) -> tuple[int | None, int | None]:
        """`1200/min` as a number and seconds; the unit's first letter decides."""
        if rate is None:
            return None, None
        number, unit = rate.split("/")
        return int(number), {"s": 1, "m": 60, "h": 3600, "d": 86_400}[unit[0]]


class PrincipalThrottle(_RateFromSettings):
    """Counts the requests of one key or user."""

    scope = "principal"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        """Strangers are counted by `count_stranger` instead."""
        if not request.user or not request.user.is_authenticated:
            return None
        return self.cache_format % {"scope": self.scope, "ident": principal_of(request)}


class _StrangerThrottle(_RateFromSettings):
    scope = "stranger"

    def get_cache_key(self, request: Request, view: APIView | None) -> str:
        return self.cache_format % {"scope": self.scope, "ident": client_address(getattr(request, "_request", request))}


def count_stranger(request: Request | HttpRequest) -> None:
    """Count a request without valid credentials, or with a password, against its address.

    Raises:
        Throttled: there were too many.
    """
    throttle = _StrangerThrottle()
    # The view plays no part in the cache key.
    if not throttle.allow_request(request, None):  # type: ignore[arg-type]
        raise Throttled(throttle.wait())
