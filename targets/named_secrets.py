"""Named secrets on their way into a request: which ones targets ask for, and where their values are."""

from __future__ import annotations

from collections.abc import Iterable

from targets.models import Secret, Target
from targets.placeholders import secret_names
from targets.secret_places import SecretSource
from targets.secrets import Undecryptable


def texts_of(target: Target) -> Iterable[str | None]:
    """Everything of a target in which a secret may be named."""
    return (target.url, target.body_template, *target.headers.values(), *(target.auth or {}).values())


def sources_named(names: Iterable[str]) -> dict[str, SecretSource]:
    """The secrets of these names, by name; those that don't exist are left out. One query, or none."""
    wanted = sorted(set(names))
    return {secret.name: source_of(secret) for secret in Secret.objects.filter(name__in=wanted)} if wanted else {}


def sources_for(targets: Iterable[Target]) -> dict[str, SecretSource]:
    """The secrets that the targets name; see `sources_named`."""
    return sources_named(name for target in targets for name in secret_names(texts_of(target)))


def source_of(secret: Secret) -> SecretSource:
    """The row as a value.

    A stored value that can't be decrypted becomes one that can't be read: it stops its own targets only.
    """
    lost = isinstance(secret.value, Undecryptable)
    return SecretSource(secret.name, None if lost else secret.value, secret.reference, tuple(secret.allowed_hosts))
