"""What counts as a secret among headers, judged by name, and what is shown in its place. Pure."""

from __future__ import annotations

from collections.abc import Mapping

MASK = "********"
SECRET_NAMES = frozenset({"authorization", "cookie"})
SECRET_WORDS = ("key", "token", "secret", "password", "signature")
# Our own: it is the id of the Run, which anyone who may read the Run sees.
PUBLIC_NAMES = frozenset({"idempotency-key"})


def is_secret_header(name: str) -> bool:
    """Whether a header's value is a secret, judged by its name."""
    lowered = name.lower()
    if lowered in PUBLIC_NAMES:
        return False
    return lowered in SECRET_NAMES or any(word in lowered for word in SECRET_WORDS)


def mask_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with every secret value replaced by `MASK`."""
    return {name: MASK if is_secret_header(name) else value for name, value in headers.items()}
