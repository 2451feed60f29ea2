"""The egress policy that the operator has set."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings

from targets.egress import EgressPolicy


def egress_policy() -> EgressPolicy:
    """What `EGRESS_ALLOW_CIDRS`, `EGRESS_DENY_CIDRS`, `EGRESS_ALLOW_HOSTS` and `EGRESS_ALLOW_PORTS` say."""
    return EgressPolicy(
        allow_networks=tuple(settings.EGRESS_ALLOW_CIDRS),
        deny_networks=tuple(settings.EGRESS_DENY_CIDRS),
        allow_hosts=frozenset(settings.EGRESS_ALLOW_HOSTS),
        allow_ports=frozenset(settings.EGRESS_ALLOW_PORTS),
        own_hosts=frozenset({urlsplit(settings.PUBLIC_URL).hostname or ""}),
    )
