"""Which headers a target may send: checked when it is saved, and again once placeholders are filled in (D4)."""

from __future__ import annotations

import re
from collections.abc import Mapping

MAX_HEADERS = 64
MAX_HEADER_BYTES = 8 * 1024
MAX_HEADERS_BYTES = 32 * 1024

# RFC 9110, section 5.6.2 (token) and 5.5 (field values, without the obsolete bytes above 0x7E).
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")

# The transport writes these itself: a second opinion is how requests get smuggled.
_TRANSPORT_NAMES = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive"}
    | {"te", "trailer", "upgrade", "expect", "accept-encoding"}
)
_TRANSPORT_PREFIXES = ("proxy-",)
_OWN_NAMES = frozenset({"idempotency-key", "traceparent"})
_OWN_PREFIXES = ("x-scheduler-", "webhook-")
# What unlocks the metadata services of clouds, where a machine's credentials lie.
_METADATA_NAMES = frozenset({"metadata", "metadata-flavor", "x-google-metadata-request", "x-identity-header"})
_METADATA_PREFIXES = (
    *("x-aws-ec2-metadata-token", "x-aliyun-ecs-metadata-token", "x-volcengine-ecs-metadata-token"),
    *("x-metadata-token", "metadata-token"),
)


def header_problem(headers: Mapping[str, str]) -> str | None:
    """One sentence about the first thing that keeps these headers from being sent; None where nothing does."""
    if len(headers) > MAX_HEADERS:
        return f"There are {len(headers)} headers; at most {MAX_HEADERS} can be sent."
    seen: dict[str, str] = {}
    total = 0
    for name, value in headers.items():
        problem = _name_problem(name) or _value_problem(name, value)
        if problem is not None:
            return problem
        if name.lower() in seen:
            return f"{seen[name.lower()]} and {name} are the same header. Keep one of them."
        seen[name.lower()] = name
        total += len(name) + len(value)
    if total > MAX_HEADERS_BYTES:
        return f"The headers have {total} bytes together; at most {MAX_HEADERS_BYTES} can be sent."
    return None


def _name_problem(name: str) -> str | None:
    if _TOKEN.fullmatch(name) is None:
        return f"{name[:80]!r} is not a header name. Use letters, digits and hyphens."
    lowered = name.lower()
    if lowered in _TRANSPORT_NAMES or lowered.startswith(_TRANSPORT_PREFIXES):
        return f"{name[:80]} is set by the HTTP client. Take it out."
    if lowered in _OWN_NAMES or lowered.startswith(_OWN_PREFIXES):
        return f"{name[:80]} is set by the scheduler on every attempt. Take it out."
    if lowered in _METADATA_NAMES or lowered.startswith(_METADATA_PREFIXES):
        return f"{name[:80]} opens the metadata services of clouds and is never sent. Take it out."
    return None


def _value_problem(name: str, value: str) -> str | None:
    if _VALUE.fullmatch(value) is None:
        return f"The value of {name[:80]} has characters other than printable ASCII, space and tab."
    if len(name) + len(value) > MAX_HEADER_BYTES:
        return f"{name[:80]} has {len(name) + len(value)} bytes; a header can have at most {MAX_HEADER_BYTES}."
    return None
