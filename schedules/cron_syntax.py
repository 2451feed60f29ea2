"""Which cron expressions are accepted, and one sentence for each that is not.

The language is that of crontab(5): five fields, `*`, numbers, names, lists, ranges and steps, and the nicknames from
`@hourly` to `@yearly`; beside it `L` (last day of the month) and `MON#2` (second Monday). Extensions that parsers
disagree about (seconds, `?`, `W`, `R`, `H`) are refused, and so is what is legal but surely not meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_LENGTH = 200

NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_ITEM = re.compile(r"(?:\*|(?P<first>[0-9]+|[A-Z]+)(?:-(?P<last>[0-9]+|[A-Z]+))?)(?:/(?P<step>[0-9]+))?")
_NTH_WEEKDAY = re.compile(r"(?P<day>[0-9]+|[A-Z]+)#(?P<nth>[0-9]+)")
_FOREIGN = (
    (re.compile(r".*\?.*"), "'?' is not cron: use * instead."),
    (re.compile(r"L?[0-9]*W[0-9]*"), "'W' (nearest weekday) is not supported: name the weekdays, as in 1-5."),
    (re.compile(r"[RH](\(.*)?(/.*)?"), "random and hashed times are not supported: set jitter_seconds instead."),
)


class InvalidCron(ValueError):
    """A cron expression that is not accepted; the message is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class _Field:
    """One of the five fields: its range, its names and how many different values it has."""

    title: str
    low: int
    high: int
    values: int
    names: Mapping[str, int] = field(default_factory=dict)

    def number(self, word: str, item: str) -> int:
        """The number that `word` stands for; raises InvalidCron for unknown names and out of range."""
        if word in self.names:
            return self.names[word]
        if not word.isdecimal():
            raise InvalidCron(f"'{item}' is not a {self.title}: use {self._allowed()}.")
        if not self.low <= int(word) <= self.high:
            raise InvalidCron(f"{word} is out of range for the {self.title}: use {self._allowed()}.")
        return int(word)

    def _allowed(self) -> str:
        numbers = f"{self.low} to {self.high}"
        names = list(self.names)
        return f"{numbers} or {names[0]} to {names[-1]}" if names else numbers


_MINUTE = _Field("minute", 0, 59, 60)
_HOUR = _Field("hour", 0, 23, 24)
_DAY = _Field("day of month", 1, 31, 31)
_MONTH = _Field("month", 1, 12, 12, {name: number for number, name in enumerate(_MONTHS, 1)})
_WEEKDAY = _Field("day of week", 0, 7, 7, {name: number for number, name in enumerate(_WEEKDAYS)})
_FIELDS = (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)


def split_fields(expression: str) -> tuple[str, ...]:
    """The five fields of an expression or nickname, in capitals; raises InvalidCron if it is not accepted."""
    text = _plain_text(expression)
    if text.startswith("@"):
        if text.lower() not in NICKNAMES:
            raise InvalidCron(f"Unknown nickname '{text}': use one of {', '.join(NICKNAMES)}, or five fields.")
        text = NICKNAMES[text.lower()]
    fields = tuple(text.upper().split())
    if len(fields) in (6, 7):
        raise InvalidCron(
            f"A cron expression has five fields, this has {len(fields)}: seconds and years are not supported "
            "(use an interval schedule for less than a minute)."
        )
    if len(fields) != len(_FIELDS):
        raise InvalidCron(
            "A cron expression has five fields (minute, hour, day of month, month, day of week), "
            f"this has {len(fields)}."
        )
    for each, text in zip(_FIELDS, fields, strict=True):
        for item in text.split(","):
            _check_item(each, item, alone=item == text)
    _check_days(fields[2], fields[4])
    return fields


def _plain_text(expression: str) -> str:
    text = expression.strip(" ")
    if not text:
        raise InvalidCron("The cron expression is empty: give five fields, for example */5 * * * *.")
    if len(text) > MAX_LENGTH:
        raise InvalidCron(f"The cron expression is longer than {MAX_LENGTH} characters.")
    if not (text.isascii() and text.isprintable()):
        raise InvalidCron("The cron expression has characters that cron does not know: use plain ASCII and spaces.")
    return text


def _check_item(each: _Field, item: str, *, alone: bool) -> None:
    """Raise InvalidCron unless `item`, one member of the list in field `each`, is accepted."""
    for foreign, remedy in _FOREIGN:
        if foreign.fullmatch(item):
            raise InvalidCron(f"In the {each.title} field {remedy}")
    if each is _DAY and item == "L":
        return
    if nth := _NTH_WEEKDAY.fullmatch(item):
        _check_nth_weekday(each, item, nth["day"], nth["nth"])
        return
    match = _ITEM.fullmatch(item)
    if match is None:
        raise InvalidCron(
            f"The {each.title} field has '{item}': use numbers, lists as 1,15, ranges as 1-5 or steps as */5."
        )
    if match["first"] is None and not alone:
        raise InvalidCron(f"'{item}' stands in a list in the {each.title} field: write it alone, or list the values.")
    if match["last"] is not None:
        _check_range(each, item, match["first"], match["last"])
    elif match["first"] is not None:
        each.number(match["first"], item)
        if each is _WEEKDAY and match["step"] is not None:  # parsers disagree whether the week ends on 6 or on 7
            raise InvalidCron(f"The step in '{item}' needs a range in the {each.title} field: write one, as in 1-5/2.")
    if match["step"] is not None and not 1 <= int(match["step"]) <= each.values:
        raise InvalidCron(f"The step in '{item}' is out of range for the {each.title}: use 1 to {each.values}.")


def _check_range(each: _Field, item: str, first: str, last: str) -> None:
    """Raise InvalidCron for a range of one value (parsers take it for the whole cycle) and a backward one."""
    start, end = each.number(first, item), each.number(last, item)
    if each is _WEEKDAY and end == 0 and start > 0:
        end = 7  # Sunday ends the week in FRI-SUN
    if start == end:
        raise InvalidCron(f"The range '{item}' in the {each.title} field has one value: write {first}.")
    if start > end:
        head = first if start == each.high else f"{first}-{each.high}"
        tail = last if end == each.low else f"{each.low}-{last}"
        raise InvalidCron(f"The range '{item}' in the {each.title} field runs backwards: write {head},{tail}.")


def _check_nth_weekday(each: _Field, item: str, day: str, nth: str) -> None:
    if each is not _WEEKDAY:
        raise InvalidCron(f"'{item}' is for the day of week field only, it stands in the {each.title} field.")
    each.number(day, item)
    if not 1 <= int(nth) <= 5:
        raise InvalidCron(f"'{item}' counts the weekdays of a month: use 1 to 5 after the #.")


def _check_days(days: str, weekdays: str) -> None:
    """L and # go with a free other day field: with a restricted one, cron would mean "either", few people do."""
    if "L" in days and weekdays != "*":
        raise InvalidCron("L in the day of month field needs * in the day of week field.")
    if "#" not in weekdays:
        return
    if days != "*":
        raise InvalidCron("# in the day of week field needs * in the day of month field.")
    if not all("#" in item for item in weekdays.split(",")):
        raise InvalidCron("The day of week field mixes # with plain weekdays: use one of the two.")
