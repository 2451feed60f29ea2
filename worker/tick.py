"""What one pass of the loop came to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tick:
    """What each step of one tick found."""

    enqueued: int
    claimed: int
    recorded: int
    rescued: int
    maintained: int

    @property
    def found_work(self) -> bool:
        """Whether it may be worth looking again at once."""
        return bool(self.enqueued or self.claimed or self.recorded or self.rescued)
