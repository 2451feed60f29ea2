"""Requests, policies and look-ups for tests of the executor."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from targets.egress import EgressPolicy
from targets.request_spec import RequestSpec
from worker.resolver import AddressInfo

LOOPBACK = EgressPolicy(allow_networks=(ip_network("127.0.0.0/8"),))


def spec(url: str, **changes: Any) -> RequestSpec:
    """A GET that gives up after 5 s, with `changes`."""
    values: dict[str, Any] = {
        "method": "GET",
        "url": url,
        "headers": {"User-Agent": "api-scheduler/test"},
        "body": None,
        "timeout_seconds": 5.0,
        "connect_timeout_seconds": 5.0,
        "follow_redirects": False,
        "verify_tls": True,
        "expected_status": "200-299",
        "response_must_contain": None,
    }
    return RequestSpec(**{**values, **changes})


class Names:
    """A resolver that knows these names only. The n-th look-up of a name gives the n-th answer, then the last one."""

    def __init__(self, names: Mapping[str, Iterable[str | Sequence[str]]]) -> None:
        """Each answer is an address or several."""
        self._answers = {
            name: [[answer] if isinstance(answer, str) else list(answer) for answer in answers]
            for name, answers in names.items()
        }
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[AddressInfo]:
        self.asked.append(host)
        answers = self._answers.get(host)
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        ips = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ips]
