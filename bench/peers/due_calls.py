"""What a peer is asked to do: one call for each schedule that bench.seed made, recorded as the worker records it."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DUE = (
    "SELECT s.id, s.target_id, t.url FROM schedules_schedule s JOIN targets_target t ON t.id = s.target_id"
    " WHERE substr(s.name, 1, 4) = 'due '"
)
USER_AGENT = "bench-peer"


@dataclass(frozen=True, slots=True)
class Call:
    """One call to make: what it is recorded under, and where it goes."""

    schedule_id: UUID
    target_id: UUID
    url: str
    scheduled_at: datetime

    @property
    def run_id(self) -> UUID:
        """The id of its row, derived from schedule and time as ours is."""
        digest = int.from_bytes(hashlib.sha256(self.schedule_id.bytes).digest()[:10])
        return _seventh(self.scheduled_at, digest)

    def attempt_id(self) -> UUID:
        """A new id for an attempt."""
        return _seventh(self.scheduled_at, secrets.randbits(74))

    def headers(self) -> dict[str, str]:
        """The headers that our worker sends too."""
        return {
            "User-Agent": USER_AGENT,
            "Idempotency-Key": str(self.run_id),
            "X-Scheduler-Run-Id": str(self.run_id),
            "X-Scheduler-Schedule-Id": str(self.schedule_id),
            "X-Scheduler-Attempt": "1",
            "X-Scheduler-Scheduled-At": self.scheduled_at.isoformat(),
        }


def _seventh(moment: datetime, bits: int) -> UUID:
    milliseconds = (moment - EPOCH) // timedelta(milliseconds=1)
    high, low = bits >> 62 & 0xFFF, bits & (1 << 62) - 1
    return UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)


def opened(call: Call, now: datetime) -> tuple[dict[str, object], dict[str, object]]:
    """The columns of the run and the attempt before the call."""
    return _open_run(call, now), _open_attempt(call, now)


def _open_run(call: Call, now: datetime) -> dict[str, object]:
    return {
        "id": call.run_id,
        "schedule_id": call.schedule_id,
        "target_id": call.target_id,
        "trigger": "schedule",
        "status": "running",
        "reason": "",
        "missed_ticks": 0,
        "queued": False,
        "scheduled_at": call.scheduled_at,
        "started_at": now,
        "attempt_count": 1,
        "final_error_type": "none",
        "final_error_message": "",
        "resolved_note": "",
        "created_at": now,
        "token": 1,
        "worker_id": UUID(int=1),
    }


def _open_attempt(call: Call, now: datetime) -> dict[str, object]:
    return {
        "id": call.attempt_id(),
        "run_id": call.run_id,
        "attempt_number": 1,
        "token": 1,
        "worker_id": UUID(int=1),
        "request_url": call.url,
        "request_method": "GET",
        "request_headers": call.headers(),
        "started_at": now,
        "response_headers": {},
        "response_body": "",
        "response_truncated": False,
        "error_type": "none",
        "error_message": "",
        "fenced": False,
        "timings": {},
        "created_at": now,
    }


def closed(
    started: datetime, now: datetime, *, status_code: int, headers: dict[str, str], body: str
) -> tuple[dict[str, object], dict[str, object]]:
    """What the call adds to the run and to the attempt."""
    milliseconds = (now - started).total_seconds() * 1000
    run = {"status": "success", "completed_at": now, "final_status_code": status_code, "worker_id": None}
    attempt = {
        "completed_at": now,
        "latency_ms": milliseconds,
        "status_code": status_code,
        "response_headers": headers,
        "response_body": body,
        "response_size_bytes": len(body.encode()),
        "timings": {"total_ms": milliseconds},
        "remote_ip": "127.0.0.1",
    }
    return run, attempt
