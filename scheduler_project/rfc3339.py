"""Moments as text: RFC 3339 date-times, always with an offset. Used by body fields and query parameters alike."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

EXAMPLE = "2026-03-10T17:30:00+05:30"
# A day inside what datetime can hold, so that a moment can be shown in every zone.
EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
LATEST = datetime(9999, 12, 30, 23, 59, 59, 999_999, tzinfo=UTC)
_DATE_TIME = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,30}))?([Zz]|[+-]\d{2}:\d{2})?", re.ASCII
)


def parse_moment(text: str) -> datetime:
    """The moment that `text` names, in UTC; digits beyond microseconds are cut.

    Raises:
        ValueError: not an RFC 3339 date-time (section 5.6), no offset, or outside the years 1 to 9999.
    """
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"Must be an RFC 3339 time such as {EXAMPLE}.")
    *parts, fraction, offset = found.groups()
    if offset is None:
        raise ValueError(f"Must carry its offset from UTC, such as {EXAMPLE} or a final Z.")
    microsecond = int((fraction or "0").ljust(6, "0")[:6])
    year, month, day, hour, minute, second = (int(part) for part in parts)
    try:
        naive = datetime(year, month, day, hour, minute, second, microsecond)  # noqa: DTZ001 - the zone comes next
        moment = naive.replace(tzinfo=_zone(offset)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"There is no such time; must be like {EXAMPLE}, in the years 1 to 9999.") from None
    if not EARLIEST <= moment <= LATEST:
        raise ValueError("Must be within the years 1 to 9999 in every time zone.")
    return moment


def parse_query_moment(text: str) -> datetime:
    """`parse_moment` for a query string, where a plus sign that nobody escaped arrives as a space."""
    return parse_moment(text.replace(" ", "+"))


def format_moment(moment: datetime, zone: tzinfo) -> str:
    """`moment` (aware) in `zone`, with its offset.

    Offsets of long ago have seconds, which RFC 3339 can't write: those moments are shown in UTC.
    """
    local = moment.astimezone(zone)
    offset = local.utcoffset() or timedelta()
    if offset % timedelta(minutes=1):
        local = moment.astimezone(UTC)
    return local.isoformat()


def _zone(offset: str) -> tzinfo:
    if offset in "Zz":
        return UTC
    hours, minutes = int(offset[1:3]), int(offset[4:6])
    if hours > 23 or minutes > 59:
        raise ValueError(offset)
    span = timedelta(hours=hours, minutes=minutes)
    return timezone(-span if offset[0] == "-" else span)
