"""Secrets at rest: encrypted by the key ring, and kept where a mask came back in their place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

from targets.errors import InvalidFields
from targets.masking import MASK, is_secret_header

if TYPE_CHECKING:
    _TextField = models.TextField[Any, Any]
else:
    _TextField = models.TextField


def keep_masked(new_headers: Mapping[str, str], stored_headers: Mapping[str, str]) -> dict[str, str]:
    """The new headers, with the stored value wherever a secret one came back as `MASK`.

    Raises:
        InvalidFields: for `headers`, where a masked value has no stored one of the same name (in any case).
    """
    stored = {name.lower(): value for name, value in stored_headers.items()}
    kept = dict(new_headers)
    for name, value in new_headers.items():
        if value == MASK and is_secret_header(name):
            if name.lower() not in stored:
                raise InvalidFields({"headers": f"{name} has no stored value to keep. Send its real value."})
            kept[name] = stored[name.lower()]
    return kept


@lru_cache(maxsize=4)
def _ring(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def key_ring() -> MultiFernet:
    """The keys of `FIELD_ENCRYPTION_KEYS`: the first encrypts, all decrypt."""
    return _ring(tuple(settings.FIELD_ENCRYPTION_KEYS))


class Undecryptable(dict[str, str]):
    """Stands in for a stored value that none of `FIELD_ENCRYPTION_KEYS` opens: empty, and never written back.

    One such row must not break a list or a worker's tick; whoever needs the value says what is wrong.
    """

    REMEDY = "Put the key that they were stored with back into FIELD_ENCRYPTION_KEYS, or send the value again."


class EncryptedJSONField(_TextField):
    """A JSON value stored as one Fernet token, so that a database dump shows nothing of it."""

    def from_db_value(self, value: str | None, *_: object) -> Any:
        """Decrypt what the database holds; `Undecryptable` where no key opens it."""
        if value is None:
            return None
        try:
            return json.loads(key_ring().decrypt(value.encode()))
        except InvalidToken:
            return Undecryptable()

    def get_prep_value(self, value: Any) -> str | None:
        """Encrypt with the first key.

        Raises:
            ValueError: the value is `Undecryptable`; writing it would destroy what is stored.
        """
        if isinstance(value, Undecryptable):
            raise ValueError("a value that can't be decrypted must not be written back")
        return None if value is None else key_ring().encrypt(json.dumps(value).encode()).decode()
