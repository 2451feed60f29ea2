"""Ids of runs and attempts: UUIDv7 (RFC 9562, section 5.7), derived where a nominal time must have one Run only."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
_RANDOM_BITS = 74


def _uuid7(moment: datetime, bits: int) -> UUID:
    """Time in milliseconds, then 74 bits around the version and variant fields."""
    milliseconds = (moment - EPOCH) // MILLISECOND
    high, low = bits >> 62 & 0xFFF, bits & (1 << 62) - 1
    return UUID(int=(milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)


def scheduled_run_id(schedule_id: UUID, nominal: datetime) -> UUID:
    """The one id that the Run of this schedule and nominal time can have.

    The primary key is then the guarantee that a nominal time fires once, on any number of workers.
    """
    digest = hashlib.sha256(schedule_id.bytes).digest()
    return _uuid7(nominal, int.from_bytes(digest[:10]) & (1 << _RANDOM_BITS) - 1)


def new_run_id(moment: datetime) -> UUID:
    """An id for a Run that no nominal time owns (manual, replay, backfill, test): `moment` is its creation."""
    return _uuid7(moment, secrets.randbits(_RANDOM_BITS))


def attempt_id(run_id: UUID) -> UUID:
    """An id with the time part of its run, so that both tables can be partitioned on the same bounds."""
    return UUID(int=run_id.int >> 80 << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62))
