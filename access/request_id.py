"""The id of the request that is being answered: in its answer, its problem documents, log lines and audit events."""

from __future__ import annotations

import re
import uuid
from contextvars import ContextVar

HEADER = "X-Request-ID"
# What a client may choose: short, and harmless in logs and headers.
ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

_current: ContextVar[str] = ContextVar("request_id", default="")


def choose_request_id(sent: str | None) -> str:
    """The client's own id if it is one to 64 letters, digits, `.`, `_` or `-`; otherwise a new one."""
    return sent if sent is not None and ACCEPTED.fullmatch(sent) else uuid.uuid4().hex


def current_request_id() -> str:
    """The id of the request that this thread answers; empty outside of requests."""
    return _current.get()


def set_request_id(value: str) -> None:
    """From now on this thread answers that request; empty: none."""
    _current.set(value)
