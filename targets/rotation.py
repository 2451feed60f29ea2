"""Moving everything that is stored encrypted under the first of FIELD_ENCRYPTION_KEYS, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from django.apps import apps
from django.conf import settings
from django.db import transaction
from django.db.models import Model, TextField, Value
from django.db.models.functions import Cast

from targets.secrets import EncryptedJSONField, key_ring

BATCH_ROWS = 100


@dataclass(slots=True)
class Rotated:
    """What became of the values of one batch, or of all of them.

    `unreadable` names those that no key opens; `changed` counts those that somebody wrote at the same moment.
    """

    rotated: int = 0
    current: int = 0
    changed: int = 0
    unreadable: list[str] = field(default_factory=list)

    @property
    def opened(self) -> int:
        """The values that some key opens."""
        return self.rotated + self.current + self.changed

    def add(self, other: Rotated) -> None:
        """Count a further batch."""
        self.rotated += other.rotated
        self.current += other.current
        self.changed += other.changed
        self.unreadable += other.unreadable


def encrypted_columns() -> dict[type[Model], list[str]]:
    """Every encrypted column there is, by model."""
    found: dict[type[Model], list[str]] = {}
    for model in apps.get_models():
        names = [column.name for column in model._meta.concrete_fields if isinstance(column, EncryptedJSONField)]
        if names:
            found[model] = names
    return found


def rotate_batches(*, dry_run: bool = False) -> Iterator[Rotated]:
    """Encrypt every value that is not yet under the first key with it; each batch is a transaction of its own.

    Breaking off between two batches loses nothing: values under the first key are passed over the next time. Rows keep
    their `updated_at` and their entity tags, for nothing of them has changed. A value that somebody else writes at the
    same moment is left to them.

    Args:
        dry_run: count, write nothing.
    """
    for model, columns in encrypted_columns().items():
        last: Any = None
        while True:
            rows = model._base_manager.order_by("pk")
            rows = rows if last is None else rows.filter(pk__gt=last)
            batch = list(rows.annotate(**_raw(columns)).values("pk", "name", *_raw(columns))[:BATCH_ROWS])
            if not batch:
                break
            with transaction.atomic():
                rotated = _rotate(model, columns, batch, dry_run=dry_run)
            yield rotated
            last = batch[-1]["pk"]


def _raw(columns: Sequence[str]) -> dict[str, Cast]:
    # Cast to plain text, so that nothing is decrypted on the way.
    return {f"raw_{name}": Cast(name, TextField()) for name in columns}


def _rotate(model: type[Model], columns: Sequence[str], batch: Sequence[dict[str, Any]], *, dry_run: bool) -> Rotated:
    first, ring, found = Fernet(settings.FIELD_ENCRYPTION_KEYS[0]), key_ring(), Rotated()
    for row in batch:
        for name in columns:
            token = row[f"raw_{name}"]
            if token is None:
                continue
            if _opens(first, token):
                found.current += 1
                continue
            try:
                fresh = ring.rotate(token.encode()).decode()
            except InvalidToken:
                found.unreadable.append(f"{name} of {model._meta.verbose_name} {row['name']}")
                continue
            if dry_run or _swap(model, row["pk"], name, token, fresh):
                found.rotated += 1
            else:
                found.changed += 1
    return found


def _opens(key: Fernet, token: str) -> bool:
    try:
        key.decrypt(token.encode())
    except InvalidToken:
        return False
    return True


def _swap(model: type[Model], key: object, name: str, old: str, fresh: str) -> bool:
    """Write the new token if the old one is still there."""
    row = model._base_manager.annotate(**_raw([name])).filter(**{"pk": key, f"raw_{name}": old})
    return bool(row.update(**{name: Value(fresh, output_field=TextField())}))
