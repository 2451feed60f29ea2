"""API keys: made, looked up, revoked. The key itself is shown once and never stored."""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Q

from access.models import ApiKey, Scope

PREFIX = "aps_"
KEY = re.compile(r"aps_[A-Za-z0-9_-]{43}", re.ASCII)
SHOWN_CHARACTERS = 12
DEFAULT_SCOPES = (Scope.READ, Scope.WRITE, Scope.RUN)
USE_NOTED_EVERY = timedelta(minutes=1)


class InvalidKeyRequest(ValueError):
    """A key can't be made from these values; the message says why."""


class KeyRefused(Exception):
    """This key opens nothing; the message says why."""


def create_key(*, name: str, scopes: Iterable[str], expires_at: datetime | None, now: datetime) -> tuple[ApiKey, str]:
    """A new key and its text: `aps_` and 256 random bits, base64url.

    Raises:
        InvalidKeyRequest: no or an unprintable name, no or an unknown scope, an end that has passed.
    """
    text = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        name=_clean_name(name),
        prefix=text[:SHOWN_CHARACTERS],
        key_hash=hash_of(text),
        scopes=_clean_scopes(scopes),
        expires_at=_clean_end(expires_at, now),
        created_at=now,
    )
    return key, text


def find_key(*, text: str, now: datetime) -> ApiKey:
    """The key with this text, if it may be used now.

    Raises:
        KeyRefused: unknown, revoked or expired.
    """
    key = ApiKey.objects.filter(key_hash=hash_of(text)).first() if KEY.fullmatch(text) else None
    if key is None:
        raise KeyRefused("This API key is not known.")
    if key.revoked_at is not None:
        raise KeyRefused("This API key was revoked.")
    if key.expires_at is not None and key.expires_at <= now:
        raise KeyRefused("This API key has expired.")
    return key


def note_use(*, key_id: uuid.UUID, now: datetime) -> bool:
    """Remember that the key was used, at most once a minute; whether a row was written."""
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lte=now - USE_NOTED_EVERY)
    return ApiKey.objects.filter(stale, id=key_id).update(last_used_at=now) == 1


def revoke_keys(*, key_ids: Iterable[uuid.UUID], now: datetime) -> int:
    """Make the keys useless from now on; how many were not so already."""
    return ApiKey.objects.filter(id__in=list(key_ids), revoked_at__isnull=True).update(revoked_at=now)


def hash_of(text: str) -> str:
    """SHA-256 in hex. Enough for 256 random bits: there is nothing to guess, so nothing to slow down."""
    return hashlib.sha256(text.encode()).hexdigest()


def _clean_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > 200 or not name.isprintable():
        raise InvalidKeyRequest("The name must have 1 to 200 printable characters.")
    return name


def _clean_scopes(scopes: Iterable[str]) -> list[str]:
    wanted = set(scopes)
    unknown = sorted(wanted - set(Scope.values))
    if unknown or not wanted:
        found = f"unknown scope {unknown[0]!r}" if unknown else "no scope given"
        raise InvalidKeyRequest(f"{found}: choose from {', '.join(Scope.values)}.")
    return [scope for scope in Scope.values if scope in wanted]


def _clean_end(expires_at: datetime | None, now: datetime) -> datetime | None:
    if expires_at is not None and expires_at <= now:
        raise InvalidKeyRequest("The expiry must be in the future.")
    return expires_at
