"""What a check of the doctor found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is. Only a failure makes the command's exit code 1."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one thing, and what to do about it where it is not in order."""

    check: str
    level: Level
    sentence: str
    remedy: str = ""

    def line(self) -> str:
        """For people: one line."""
        return f"{self.level:<8} {self.check}: {self.sentence}{f' {self.remedy}' if self.remedy else ''}"


def ok(check: str, sentence: str) -> Finding:
    """In order."""
    return Finding(check, Level.OK, sentence)


def warning(check: str, sentence: str, remedy: str) -> Finding:
    """The service works, but somebody should know."""
    return Finding(check, Level.WARNING, sentence, remedy)


def failure(check: str, sentence: str, remedy: str) -> Finding:
    """The service doesn't do all its work."""
    return Finding(check, Level.FAILURE, sentence, remedy)


def worst(findings: Iterable[Finding]) -> Level:
    """The level of the whole."""
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.FAILURE, Level.WARNING) if level in levels), Level.OK)


def named(names: Iterable[object], *, most: int = 3) -> str:
    """The first few, comma-separated."""
    shown = [str(name) for name in names]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")


def lasting(seconds: float) -> str:
    """`45 s`, `90 minutes`, `40 hours`, `300 days`: the largest unit of which there are two."""
    for size, unit in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size:,.0f} {unit}"
    return f"{seconds:,.0f} s"
