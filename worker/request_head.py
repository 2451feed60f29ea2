"""A request as it goes over the wire (RFC 9112, section 3)."""

from __future__ import annotations

import re
from collections.abc import Mapping

# Whatever was checked before, nothing may take part in where the request, or a line of it, ends (RFC 9112, 5.1).
_HEAD = re.compile(r"[A-Z]+ [!-~]+ HTTP/1\.1\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: [^\r\n\x00]*\r\n)+", re.ASCII)
# RFC 9110, section 8.6: these methods say that there is no content by not speaking of it.
_WITHOUT_LENGTH = frozenset({"GET", "HEAD"})


def request_message(method: str, target: str, authority: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    """Head and body in one piece.

    Args:
        target: path and query.
        authority: the value of Host.
        headers: all others but Content-Length. Every one of them has passed `targets.header_rules` already.

    Raises:
        ValueError: something would break out of its line.
    """
    lines = [f"{method} {target} HTTP/1.1", f"Host: {authority}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body or method not in _WITHOUT_LENGTH:
        lines.append(f"Content-Length: {len(body or b'')}")
    lines.append("")
    head = "\r\n".join(lines)
    # A line break within a value could be the beginning of a proper line.
    if _HEAD.fullmatch(head) is None or head.count("\n") != len(lines) - 1:
        raise ValueError("the request has a character that can't be sent")
    return head.encode("latin-1") + b"\r\n" + (body or b"")
