"""API keys: made, looked up, changed, revoked. The key itself is shown once and never stored."""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from access.models import ApiKey, KeySchedule, Scope
from access.networks import clean_cidrs, is_within

PREFIX = "aps_"
KEY = re.compile(r"aps_[A-Za-z0-9_-]{43}", re.ASCII)
SHOWN_CHARACTERS = 12
DEFAULT_SCOPES = (Scope.READ, Scope.WRITE, Scope.RUN)
# What people write; scopes are fixed when the key is made.
USER_FIELDS = ("name", "scopes", "cidrs", "expires_at")
CHANGEABLE = ("name", "cidrs", "expires_at")
Check = Callable[[ApiKey], None]


class InvalidKeyRequest(ValueError):
    """A key can't be made or changed like this; `errors` has a sentence for each field."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        self.errors = dict(errors)
        super().__init__(" ".join(self.errors.values()))


class AlreadyRevoked(Exception):
    """The key is revoked: nothing about it can change any more."""

    def __init__(self) -> None:
        super().__init__("This key is revoked, for good. Make another one.")


class KeyRefused(Exception):
    """This key opens nothing; the message says why. `key`: the key, where the text belongs to one."""

    def __init__(self, message: str, key: ApiKey | None = None) -> None:
        self.key = key
        super().__init__(message)


class KeyElsewhere(KeyRefused):
    """The key is good, but not from this address."""


def create_key(
    *,
    name: str,
    scopes: Iterable[str],
    expires_at: datetime | None,
    now: datetime,
    cidrs: Iterable[str] = (),
    granted_by: frozenset[str] | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its text: `aps_` and 256 random bits, base64url.

    Args:
        name: what it is for.
        scopes: what it may do.
        expires_at: when it ends; None: never.
        now: the present moment.
        cidrs: the networks that it may be used from; none: from anywhere.
        granted_by: the scopes of whoever asks for the key, which it can't exceed; None: the operator's command.

    Raises:
        InvalidKeyRequest: no or an unprintable name, no, an unknown or a forbidden scope, an end that has passed, a
            network that isn't one.
    """
    wanted = list(scopes)
    values = _clean({"name": name, "scopes": wanted, "expires_at": expires_at, "cidrs": list(cidrs)}, now)
    missing = [] if granted_by is None else sorted(set(values["scopes"]) - granted_by)
    if missing:
        raise InvalidKeyRequest({"scopes": f"You can't give the scope {missing[0]}, which you don't have yourself."})
    text = PREFIX + secrets.token_urlsafe(32)
    prefix = text[:SHOWN_CHARACTERS]
    return ApiKey.objects.create(**values, prefix=prefix, key_hash=hash_of(text), created_at=now), text


@transaction.atomic
def update_key(*, key_id: uuid.UUID, changes: Mapping[str, Any], now: datetime, check: Check | None = None) -> ApiKey:
    """Change name, networks or end of a key.

    Args:
        key_id: which key.
        changes: of `CHANGEABLE`, by name.
        now: the present moment.
        check: called under the row lock before anything is decided; what it raises goes to the caller.

    Raises:
        ApiKey.DoesNotExist: there is none.
        AlreadyRevoked: it is revoked.
        InvalidKeyRequest: names every field that can't be accepted.
    """
    key = _lock(key_id)
    if check:
        check(key)
    if key.revoked_at is not None:
        raise AlreadyRevoked
    values = _clean(changes, now)
    for name, value in values.items():
        setattr(key, name, value)
    key.save(update_fields=list(values))
    return key


@transaction.atomic
def revoke_key(*, key_id: uuid.UUID, now: datetime, check: Check | None = None) -> ApiKey:
    """Make a key useless from now on.

    Raises:
        ApiKey.DoesNotExist: there is none.
        AlreadyRevoked: it is so already.
    """
    key = _lock(key_id)
    if check:
        check(key)
    if key.revoked_at is not None:
        raise AlreadyRevoked
    key.revoked_at = now
    key.save(update_fields=["revoked_at"])
    return key


def find_key(*, text: str, now: datetime, address: str) -> ApiKey:
    """The key with this text, if it may be used now and from this address.

    Raises:
        KeyRefused: unknown, revoked or expired.
        KeyElsewhere: the address is in none of the key's networks.
    """
    key = ApiKey.objects.filter(key_hash=hash_of(text)).first() if KEY.fullmatch(text) else None
    if key is None:
        raise KeyRefused("This API key is not known.")
    if key.revoked_at is not None:
        raise KeyRefused("This API key was revoked.", key)
    if key.expires_at is not None and key.expires_at <= now:
        raise KeyRefused("This API key has expired.", key)
    if key.cidrs and not is_within(address, key.cidrs):
        raise KeyElsewhere(f"This API key can't be used from {address}.", key)
    return key


def forget_schedule(schedule_id: uuid.UUID) -> None:
    """A schedule is gone for good: no key has made it any more."""
    KeySchedule.objects.filter(schedule_id=schedule_id).delete()


def hash_of(text: str) -> str:
    """SHA-256 in hex. Enough for 256 random bits: there is nothing to guess, so nothing to slow down."""
    return hashlib.sha256(text.encode()).hexdigest()


def _lock(key_id: uuid.UUID) -> ApiKey:
    return ApiKey.objects.select_for_update(no_key=True).get(pk=key_id)


def _clean(values: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The values as they are stored, or every problem at once."""
    cleaned, errors = dict(values), {}
    for name, clean in _CLEANERS.items():
        if name in values:
            try:
                cleaned[name] = clean(values[name])
            except ValueError as problem:
                errors[name] = str(problem)
    expires_at: datetime | None = values.get("expires_at")
    if expires_at is not None and expires_at <= now:
        errors["expires_at"] = "The expiry must be in the future."
    if errors:
        raise InvalidKeyRequest(errors)
    return cleaned


def _clean_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > 200 or not name.isprintable():
        raise ValueError("The name must have 1 to 200 printable characters.")
    return name


def _clean_scopes(scopes: Iterable[str]) -> list[str]:
    wanted = set(scopes)
    unknown = sorted(wanted - set(Scope.values))
    if unknown or not wanted:
        found = f"unknown scope {unknown[0]!r}" if unknown else "no scope given"
        raise ValueError(f"{found}: choose from {', '.join(Scope.values)}.")
    return [scope for scope in Scope.values if scope in wanted]


_CLEANERS: dict[str, Callable[[Any], Any]] = {
    "name": _clean_name,
    "scopes": _clean_scopes,
    "cidrs": clean_cidrs,
}
