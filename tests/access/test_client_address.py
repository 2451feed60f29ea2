"""Where a request comes from."""

from __future__ import annotations

import ipaddress

import pytest
from django.test import RequestFactory
from pytest_django import Settings

from access.client_address import client_address

PROXY, CLIENT = "10.0.0.1", "203.0.113.9"


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        (CLIENT, "", CLIENT),
        (CLIENT, "192.0.2.1", CLIENT),
        (PROXY, "", PROXY),
        (PROXY, CLIENT, CLIENT),
        (PROXY, f"192.0.2.1, {CLIENT}", CLIENT),
        (PROXY, f"192.0.2.1, {CLIENT}, 10.0.0.2", CLIENT),
        (PROXY, "10.0.0.3,10.0.0.2", "10.0.0.3"),
        (PROXY, f"{CLIENT}, junk", PROXY),
        (PROXY, " , ,", PROXY),
        ("", "192.0.2.1", "unknown"),
        ("2001:db8::1", CLIENT, CLIENT),
        (f"::ffff:{PROXY}", CLIENT, CLIENT),
        (f"::ffff:{CLIENT}", "192.0.2.1", CLIENT),
        (PROXY, "2001:DB9::0:1", "2001:db9::1"),
    ],
)
def test_only_trusted_proxies_are_believed(settings: Settings, peer: str, forwarded: str, expected: str) -> None:
    settings.TRUSTED_PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8::/32")]
    request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)
    assert client_address(request) == expected
