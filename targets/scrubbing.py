"""Taking known secrets out of what is stored: targets like to send back what they were sent (guarantee D7). Pure."""

from __future__ import annotations

import base64
import binascii
import html
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import takewhile
from urllib.parse import quote, quote_plus

from targets.auth import Auth, secret_members
from targets.masking import MASK, is_secret_header
from targets.signing import PREFIX

# Shorter values are not looked for: `on` or `2026` would tear every other text to pieces.
LEAST_CHARS = 8
_JSON_HTML = {ord(char): f"\\u{ord(char):04x}" for char in "<>&"}


def known_secrets(
    *, headers: Mapping[str, str], auth: Auth | None, signing_secrets: Iterable[str], named: Iterable[str]
) -> tuple[str, ...]:
    """Every secret that takes part in a request, each once: what a stored answer to it must not show."""
    found = [part for name, value in headers.items() if is_secret_header(name) for part in _parts(name, value)]
    if auth:
        found += [auth[name] for name in secret_members(auth)]
    found += [part for secret in signing_secrets for part in (secret, secret.removeprefix(PREFIX))]
    return tuple(sorted({secret for secret in (*found, *named) if len(secret) >= LEAST_CHARS}))


def _parts(name: str, value: str) -> Iterator[str]:
    """A header's value, and the secret parts that a target takes it apart into."""
    yield value
    if name.lower() == "cookie":
        yield from (pair.partition("=")[2].strip() for pair in value.split(";"))
        return
    scheme, _, rest = value.partition(" ")
    yield rest.strip()
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(rest, validate=True).decode()
        except (binascii.Error, ValueError):
            return
        yield pair
        yield pair.partition(":")[2]


class Scrubber:
    """Replaces secrets, plain and in the usual encodings, by `MASK`."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """What to look for; values shorter than `LEAST_CHARS` are passed over."""
        forms = {form for secret in secrets if len(secret) >= LEAST_CHARS for form in _forms(secret)}
        # The longest first: a form may be the beginning of another one.
        self._forms = sorted((form for form in forms if len(form) >= LEAST_CHARS), key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text without secrets."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text

    def end(self, text: str) -> str:
        """The same for the end of a text that was cut there: the first part of a secret goes, too."""
        starts = [start for form in self._forms if (start := _overhang(text, form)) is not None]
        return text[: min(starts)] + MASK if starts else text

    def sentence(self, text: str) -> str:
        """The same for a sentence that quotes a piece of something: a secret's first characters are enough."""
        for form in self._forms:
            start = text.find(form[:LEAST_CHARS])
            while start >= 0:
                same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text[start:], form, strict=False)))
                text = text[:start] + MASK + text[start + same :]
                start = text.find(form[:LEAST_CHARS], start + len(MASK))
        return text


NO_SECRETS = Scrubber(())


@lru_cache(maxsize=512)
def scrubber_of(secrets: tuple[str, ...]) -> Scrubber:
    """The scrubber for these secrets; calls of one target share it."""
    return Scrubber(secrets)


def _overhang(text: str, form: str) -> int | None:
    """Where the text ends with a beginning of `form`, or None."""
    start = text.find(form[0], max(0, len(text) - len(form) + 1))
    while start >= 0:
        if form.startswith(text[start:]):
            return start
        start = text.find(form[0], start + 1)
    return None


def _forms(secret: str) -> Iterator[str]:
    octets = secret.encode(errors="replace")
    yield secret
    # Header values are read as Latin-1.
    yield octets.decode("latin-1")
    for escape in _ESCAPES:
        yield escape(secret)
    for percent in (quote(secret, safe="", errors="replace"), quote(secret, errors="replace"), quote_plus(secret)):
        yield percent
        yield _lower_escapes(percent)
    yield octets.hex()
    yield octets.hex().upper()
    for encoded in _base64_forms(octets):
        yield encoded
        yield encoded.replace("+", "-").replace("/", "_")


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _json_utf8(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


_ESCAPES: tuple[Callable[[str], str], ...] = (
    _json,
    _json_utf8,
    lambda text: _json(text).replace("/", "\\/"),
    lambda text: _json(text).translate(_JSON_HTML),
    html.escape,
    lambda text: html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    # A JSON body that is sent back as text within JSON, or on a page.
    lambda text: _json(_json(text)),
    lambda text: _json(_json_utf8(text)),
    lambda text: _json_utf8(_json_utf8(text)),
    lambda text: html.escape(_json_utf8(text)),
)


def _lower_escapes(percent: str) -> str:
    head, *rest = percent.split("%")
    return head + "".join(f"%{part[:2].lower()}{part[2:]}" for part in rest)


def _base64_forms(octets: bytes) -> Iterator[str]:
    """What of the secret is the same in base64 whatever surrounds it, at each of the three places it can start at."""
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + octets).decode().rstrip("=")
        # Six bits per character: those that the neighbours have a share in are left out.
        first = (shift * 8 + 5) // 6
        last = (shift + len(octets)) * 8 // 6
        yield encoded[first:last]
