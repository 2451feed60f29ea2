"""Ids of audit events: UUIDv7 (RFC 9562, section 5.7), so that newest first is the order of the primary key."""

from __future__ import annotations

import secrets
from datetime import datetime
from uuid import UUID


def new_event_id(moment: datetime) -> UUID:
    """A new id whose first 48 bits are the moment in milliseconds and whose other bits are random."""
    raw = bytearray(int(moment.timestamp() * 1000).to_bytes(6) + secrets.token_bytes(10))
    raw[6] = 0x70 | raw[6] & 0x0F
    raw[8] = 0x80 | raw[8] & 0x3F
    return UUID(bytes=bytes(raw))
