"""Numbers of things, in words for people."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """`1 run`, `1,200 runs`. `many`: the plural, where it is not `one` with an s."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
