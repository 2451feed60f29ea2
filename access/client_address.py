"""The address a request comes from, also behind proxies that we trust."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def client_address(request: HttpRequest) -> str:
    """The peer's address; where the peer is in TRUSTED_PROXIES, the last forwarded one that is not.

    X-Forwarded-For is written by whoever sends it: only the part added by our own proxies counts, read from its end.
    """
    peer = str(request.META.get("REMOTE_ADDR") or "unknown")
    hops = [hop.strip() for hop in str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",") if hop.strip()]
    while hops and _trusted(peer):
        hop = hops.pop()
        if _parsed(hop) is None:
            break
        peer = hop
    return peer


def _trusted(address: str) -> bool:
    parsed = _parsed(address)
    networks: list[Network] = settings.TRUSTED_PROXIES
    return parsed is not None and any(parsed in network for network in networks)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None
