"""A target's request: the template that users write, and the finished request that the executor sends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """What a target says about its request, placeholders included. Times are in seconds."""

    method: str
    url: str
    headers: Mapping[str, str]
    body_template: str | None
    timeout_seconds: float
    connect_timeout_seconds: float
    follow_redirects: bool
    verify_tls: bool
    expected_status: str
    response_must_contain: str | None


@dataclass(frozen=True, slots=True)
class RenderContext:
    """The values behind the placeholders. `created_at` and `scheduled_at` are aware."""

    run_id: UUID
    created_at: datetime
    scheduled_at: datetime
    attempt_number: int
    schedule_id: UUID | None
    schedule_name: str
    target_name: str


@dataclass(frozen=True, slots=True)
class RequestSpec:
    """A finished request. `headers` holds everything that is sent but Host, Content-Length and Accept-Encoding."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    timeout_seconds: float
    connect_timeout_seconds: float
    follow_redirects: bool
    verify_tls: bool
    expected_status: str
    response_must_contain: str | None
