"""The egress policy that the operator has set."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings

from targets.egress import EgressPolicy, UrlProblem, normal_host


def egress_policy() -> EgressPolicy:
    """What the settings `EGRESS_*` say; `PUBLIC_URL` and `ALLOWED_HOSTS` say what is this service itself."""
    return EgressPolicy(
        allow_networks=tuple(settings.EGRESS_ALLOW_CIDRS),
        deny_networks=tuple(settings.EGRESS_DENY_CIDRS),
        allow_hosts=frozenset(settings.EGRESS_ALLOW_HOSTS),
        allow_ports=frozenset(settings.EGRESS_ALLOW_PORTS),
        own_hosts=_own_hosts(),
        proxy=settings.EGRESS_PROXY_URL,
    )


def _own_hosts() -> frozenset[str]:
    public = urlsplit(settings.PUBLIC_URL).hostname or ""
    found = set()
    for host in (f"[{public}]" if ":" in public else public, *settings.ALLOWED_HOSTS):
        try:
            found.add(normal_host(host))
        except UrlProblem:
            # A pattern, such as * or .example.com: it may well cover hosts that are not ours.
            continue
    return frozenset(found)
