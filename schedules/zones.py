"""Time zones: wall clock to UTC and back where clocks jump or repeat (PEP 495), and when they change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


class UnknownZone(ValueError):
    """No such time zone on this machine; the message is one sentence for the user."""


@lru_cache(maxsize=1024)
def find_zone(name: str) -> ZoneInfo:
    """The zone of an IANA name. Raises UnknownZone if there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # unknown, a directory of the database, not a relative path
        raise UnknownZone(f"Unknown time zone '{name}'.") from error


def wall_clock(moment: datetime, zone: ZoneInfo) -> datetime:
    """What the clock on the wall shows at `moment` (aware): naive, to the second."""
    return moment.astimezone(zone).replace(tzinfo=None, microsecond=0, fold=0)


def exists(wall: datetime, zone: ZoneInfo) -> bool:
    """Whether clocks in `zone` ever show `wall` (naive)."""
    return wall.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) == wall


def is_repeated(wall: datetime, zone: ZoneInfo) -> bool:
    """Whether clocks in `zone` show `wall` (naive) twice."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return first != second and exists(wall, zone)


def first_existing(wall: datetime, zone: ZoneInfo) -> datetime:
    """The UTC moment of `wall` (naive): the first of two, or the end of the jump that leaves it out."""
    at = wall.replace(tzinfo=zone).astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None) == wall:
        return at
    # In a gap, fold=0 counts with the offset before it and lands behind the jump, fold=1 lands ahead of it.
    ahead = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _bisect_change(zone, ahead, at)


def next_offset_change(zone: ZoneInfo, after: datetime, until: datetime) -> datetime | None:
    """The first moment in (`after`, `until`] whose UTC offset differs from that at `after`, to the second; or None.

    Offsets are compared day by day: no zone has gone there and back within one.
    """
    offset = utc_offset(zone, after)
    low = after
    while low < until:
        high = low + _DAY if until - low > _DAY else until
        if utc_offset(zone, high) != offset:
            return _bisect_change(zone, low, high)
        low = high
    return None


def utc_offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    """How far wall clocks in `zone` are ahead of UTC at `moment` (aware)."""
    local = moment.astimezone(UTC)
    return local.astimezone(zone).replace(tzinfo=UTC) - local


def _bisect_change(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The first second of (`low`, `high`] with the offset of `high`; the offset at `low` is another."""
    target = utc_offset(zone, high)
    # Clocks change on whole seconds, so dropping the rest leaves the change between the two.
    low, high = low.replace(microsecond=0), high.replace(microsecond=0)
    while high - low > _SECOND:
        middle = low + (high - low) // (2 * _SECOND) * _SECOND
        if utc_offset(zone, middle) == target:
            high = middle
        else:
            low = middle
    return high
