"""The list of status codes that count as success, such as `200-299` or `200-204,404`."""

from __future__ import annotations

import re
from functools import lru_cache

LOWEST, HIGHEST = 100, 599
_PART = re.compile(r"([0-9]{3})(?:\s*-\s*([0-9]{3}))?")
REMEDY = "Write status codes and ranges from 100 to 599 separated by commas, such as 200-299 or 200-204,404."


@lru_cache(maxsize=256)
def parse_expected_status(text: str) -> tuple[range, ...]:
    """The ranges of status codes that `text` names; `any(code in part for part in ...)` asks about one code.

    Raises:
        ValueError: with one sentence, where the text is not such a list.
    """
    return tuple(_parse_part(part.strip()) for part in text.split(","))


def _parse_part(part: str) -> range:
    match = _PART.fullmatch(part)
    if match is None:
        raise ValueError(f"{part[:20]!r} is not a status code or range. {REMEDY}")
    first, last = int(match[1]), int(match[2] or match[1])
    if not LOWEST <= first <= HIGHEST or not LOWEST <= last <= HIGHEST:
        raise ValueError(f"{part!r} is outside 100 to 599. {REMEDY}")
    if first > last:
        raise ValueError(f"{part!r} runs backwards: write {last}-{first}.")
    return range(first, last + 1)
