"""How long Runs and bodies are kept: pure rules over the RETENTION_* settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

# Together the final statuses; a Run that has not ended is never old.
GOOD_STATUSES = ("success", "skipped", "cancelled")
BAD_STATUSES = ("failed", "timeout")


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """Ages count from the end of a Run or attempt; None keeps for ever.

    `keep_last`: so many of the newest Runs of each schedule stay, however old they are.
    """

    success_age: timedelta | None
    failed_age: timedelta | None
    body_age: timedelta | None
    keep_last: int

    def cutoffs(self, now: datetime) -> Mapping[str, datetime]:
        """For each final status the moment before which its Runs are old; statuses kept for ever are left out."""
        ages = dict.fromkeys(GOOD_STATUSES, self.success_age) | dict.fromkeys(BAD_STATUSES, self.failed_age)
        return {status: now - age for status, age in ages.items() if age is not None}

    def body_cutoff(self, now: datetime) -> datetime | None:
        """The moment before which the bodies of ended attempts are cleared; None where they are kept."""
        return None if self.body_age is None else now - self.body_age

    def may_be_gone(self, moment: datetime, now: datetime) -> bool:
        """Whether a Run that was due at `moment` may have been removed by `now`."""
        return any(moment < cutoff for cutoff in self.cutoffs(now).values())
