"""Which addresses are this machine's (guarantee D1: our own listening address counts as private)."""

from __future__ import annotations

import socket

from worker.resolver import Endpoint


def is_own_address(endpoint: Endpoint) -> bool:
    """Whether a connection would end on this machine. The routing table says so; nothing is sent.

    The loopback network has more addresses than this finds: those need no finding.
    """
    try:
        with socket.socket(endpoint.family, socket.SOCK_DGRAM) as probe:
            probe.connect(endpoint.address)
            return str(probe.getsockname()[0]) == endpoint.ip
    except OSError:
        # No way there at all.
        return False
