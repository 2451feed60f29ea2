"""From a response's bytes to text that any database and page can hold."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping

from targets.scrubbing import NO_SECRETS, Scrubber

MAX_BODY_BYTES = 102_400
MAX_HEADERS = 100
MAX_HEADER_CHARS = 8192
MAX_HEADERS_CHARS = 65_536

_CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff]")
_CHARSET = re.compile(r"""charset\s*=\s*["']?([\w.:-]+)""", re.ASCII | re.IGNORECASE)
# Codecs that are no charset of any page: they run code-like escapes, or take long over hostile input.
_NO_CHARSETS = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "utf-7"})


def printable(text: str) -> str:
    """`text` with every control character but the tab replaced by U+FFFD."""
    # Nearly all are, and telling so costs half of the search.
    return text if text.isprintable() else _CONTROLS.sub("\ufffd", text)


def stored_headers(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The headers that are kept: at most 100, 8 KB each, 64 KB together; duplicates are expected to be joined."""
    kept: dict[str, str] = {}
    room = MAX_HEADERS_CHARS
    for name, value in items:
        name, value = printable(name)[:MAX_HEADER_CHARS], printable(value)[:MAX_HEADER_CHARS]  # noqa: PLW2901
        room -= len(name) + len(value)
        if room < 0 or len(kept) == MAX_HEADERS:
            break
        kept[name] = value
    return kept


def charset_of(headers: Mapping[str, str]) -> str:
    """The charset of Content-Type where Python can decode it, else UTF-8."""
    match = _CHARSET.search(headers.get("content-type", "")[:1000])
    try:
        name = codecs.lookup(match[1] if match else "utf-8").name
        # Codecs from bytes to bytes, zlib among them, are refused only when there is something to decode.
        b"-".decode(name, "replace")
    except (LookupError, ValueError):
        return "utf-8"
    return "utf-8" if name in _NO_CHARSETS else name


def stored_text(data: bytes, charset: str, *, truncated: bool, scrubber: Scrubber = NO_SECRETS) -> tuple[str, bool]:
    """The body as text of at most 102,400 bytes of UTF-8, without secrets, and whether anything is missing from it.

    What does not decode, and what a database can't store, is U+FFFD. A character cut in half at the end is left out.
    """
    # No charset gives half a surrogate pair, and a pattern that looks for one would cost more than the whole call.
    text = data.decode(charset, "replace").replace("\0", "\ufffd")
    if truncated:
        text = text.removesuffix("\ufffd")
    text = scrubber.text(text)
    encoded = text.encode()
    if len(encoded) > MAX_BODY_BYTES:
        text, truncated = encoded[:MAX_BODY_BYTES].decode(errors="ignore"), True
    if not truncated:
        return text, False
    return scrubber.end(text).encode()[:MAX_BODY_BYTES].decode(errors="ignore"), True


def marked(text: str, content_encoding: str | None) -> str:
    """The stored body, with a first line that says so where its content coding was not undone."""
    if content_encoding is None:
        return text
    mark = f"[Not decoded: Content-Encoding {printable(content_encoding)[:100]}]\n"
    return mark + text.encode()[: MAX_BODY_BYTES - len(mark.encode())].decode(errors="ignore")
