"""From the row to the value: what a target says about its request."""

from __future__ import annotations

from datetime import datetime

from targets.models import Target
from targets.placeholders import TemplateProblem
from targets.request_spec import RequestTemplate
from targets.secrets import Undecryptable

ENCRYPTED = ("headers", "auth", "signing_secret")


def request_template(target: Target, *, now: datetime) -> RequestTemplate:
    """The target's request with its placeholders still in it, ready to be rendered.

    Args:
        target: the row.
        now: decides which signing secrets are live.

    Raises:
        TemplateProblem: something that is stored encrypted can't be decrypted.
    """
    for name in ENCRYPTED:
        if isinstance(getattr(target, name), Undecryptable):
            raise TemplateProblem(f"The target's {name} can't be decrypted. {Undecryptable.REMEDY}")
    return RequestTemplate(
        method=target.method,
        url=target.url,
        headers=target.headers,
        body_template=target.body_template,
        timeout_seconds=target.timeout_seconds,
        connect_timeout_seconds=target.connect_timeout_seconds,
        follow_redirects=target.follow_redirects,
        verify_tls=target.verify_tls,
        expected_status=target.expected_status,
        response_must_contain=target.response_must_contain,
        auth=target.auth,
        signing_secrets=live_signing_secrets(target, now=now),
    )


def live_signing_secrets(target: Target, *, now: datetime) -> tuple[str, ...]:
    """The secrets that sign now: the target's own, and for a while the one that it replaced."""
    until = target.previous_signing_secret_until
    previous = target.previous_signing_secret if until is not None and now < until else None
    return tuple(
        secret
        for secret in (target.signing_secret, previous)
        if secret is not None and not isinstance(secret, Undecryptable)
    )
