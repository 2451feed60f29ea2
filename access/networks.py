"""The addresses that a key may be used from."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from access.client_address import parsed_address

MOST_CIDRS = 50


class InvalidNetwork(ValueError):
    """Text that is neither an address nor a CIDR block; the message says which."""


def clean_cidrs(texts: Iterable[str]) -> list[str]:
    """CIDR blocks in their usual spelling (RFC 4632), single addresses as /32 or /128; repetitions dropped.

    Raises:
        InvalidNetwork: a text that is no network, or more than `MOST_CIDRS` of them.
    """
    found: dict[str, None] = {}
    for text in texts:
        try:
            found[str(ipaddress.ip_network(text.strip(), strict=False))] = None
        except ValueError:
            shown = text[:50]
            raise InvalidNetwork(f"{shown!r} is neither an address nor a CIDR block such as 10.0.0.0/8.") from None
    if len(found) > MOST_CIDRS:
        raise InvalidNetwork(f"At most {MOST_CIDRS} networks.")
    return list(found)


def is_within(address: str, cidrs: Iterable[str]) -> bool:
    """Whether the address lies in one of the networks; text that is no address lies nowhere."""
    parsed = parsed_address(address)
    return parsed is not None and any(parsed in ipaddress.ip_network(cidr) for cidr in cidrs)
