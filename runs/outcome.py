"""What an attempt came to: the closed list of errors, the value that the executor returns, and the judgement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class ErrorType(StrEnum):
    """Every way in which an attempt can fail, and `none`."""

    NONE = "none"
    TIMEOUT = "timeout"
    DNS = "dns"
    CONNECTION = "connection"
    SSL = "ssl"
    CLIENT_ERROR = "client_error"
    SERVER_ERROR = "server_error"
    REDIRECT = "redirect"
    BLOCKED = "blocked"
    TEMPLATE = "template"
    UNEXPECTED_RESPONSE = "unexpected_response"
    BAD_RESPONSE = "bad_response"
    WORKER_LOST = "worker_lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of an attempt went, in milliseconds; None where the phase was not reached."""

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    ttfb_ms: float | None = None
    total_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one HTTP try. `error_type` is `ErrorType.NONE` for a success."""

    error_type: ErrorType
    error_message: str = ""
    latency_ms: float = 0.0
    status_code: int | None = None
    response_headers: Mapping[str, str] = field(default_factory=dict)
    response_body: str = ""
    response_truncated: bool = False
    response_size_bytes: int | None = None
    timings: Timings = field(default_factory=Timings)
    remote_ip: str | None = None
    # The worker had lost the right to send before a byte left: hand the ticket back instead of recording it.
    withheld: bool = False
