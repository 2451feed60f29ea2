"""What a refused target says."""

from __future__ import annotations

from collections.abc import Mapping


class InvalidFields(ValueError):
    """Values that cannot be saved: one sentence per field (`auth.token` for a member), all problems at once."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        self.errors: dict[str, str] = dict(errors)
        super().__init__(" ".join(f"{name}: {sentence}" for name, sentence in self.errors.items()))


class InUse(Exception):
    """A secret is named by targets, so that this can't be done to it; the message names them."""
