"""The HTTP proxy that calls go through where the operator has named one."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

_PROXY_URL = re.compile(
    r"http://(?:(?P<user>[^/?#@:\[\]]*)(?::(?P<password>[^/?#@\[\]]*))?@)?"
    r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+):(?P<port>[0-9]{1,5})/?",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class EgressProxy:
    """Where the proxy is, and what it wants to know. Its text, `repr` included, never shows credentials.

    `resolves` leaves the look-up of names, and so the judgement of their addresses, to the proxy.
    """

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)
    resolves: bool = False

    def __str__(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def parse_proxy_url(url: str) -> EgressProxy:
    """Read `http://[user:password@]host:port`; user and password may be percent-encoded.

    Raises:
        ValueError: it is anything else. The message has nothing of the URL.
    """
    match = _PROXY_URL.fullmatch(url) if url.isprintable() else None
    if match is None or not 1 <= int(match["port"]) <= 65535:
        raise ValueError("must be http://host:port or http://user:password@host:port")
    authorization = None
    if match["user"] is not None:
        # RFC 7617: the user name ends at the first colon.
        pair = unquote_to_bytes(match["user"]) + b":" + unquote_to_bytes(match["password"] or "")
        authorization = f"Basic {b64encode(pair).decode()}"
    return EgressProxy(match["host"].lower().strip("[]"), int(match["port"]), authorization)
