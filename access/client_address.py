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
    while hops and is_trusted_proxy(peer):
        hop = hops.pop()
        if parsed_address(hop) is None:
            break
        peer = hop
    return str(parsed_address(peer) or peer)


def is_trusted_proxy(address: str) -> bool:
    """Whether TRUSTED_PROXIES names the address."""
    parsed = parsed_address(address)
    networks: list[Network] = settings.TRUSTED_PROXIES
    return parsed is not None and any(parsed in network for network in networks)


def parsed_address(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address, IPv4-mapped ones unmapped; None for other text."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    # A dual-stack socket shows IPv4 peers as ::ffff:192.0.2.1.
    return (parsed.version == 6 and parsed.ipv4_mapped) or parsed
