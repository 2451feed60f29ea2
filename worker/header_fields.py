"""The header fields of a response, read line by line.

http.client hands them to the parser of e-mails, which costs as much as all the rest of a small call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.client import HTTPException, LineTooLong

MAX_FIELDS = 100
_LONGEST_LINE = 65_536
# RFC 9110, section 5.1, and what is common beside it: any visible character but the colon. Bytes are read as Latin-1.
_FIELD = re.compile(r"([!-9;-~]+):[ \t]*(.*)", re.DOTALL)


class HeaderFields(Mapping[str, str]):
    """Values by name in any case; those of a repeated name joined by commas (RFC 9110, section 5.3)."""

    __slots__ = ("_fields",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        """Fields in the order in which they came; a name is spelled as it came first."""
        self._fields: dict[str, tuple[str, str]] = {}
        for name, value in pairs:
            key = name.lower()
            known = self._fields.get(key)
            self._fields[key] = (name, value) if known is None else (known[0], f"{known[1]}, {value}")

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()][1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._fields.values())

    def __len__(self) -> int:
        return len(self._fields)


def read_fields(readline: Callable[[int], bytes]) -> HeaderFields:
    """The fields up to the empty line that ends them. A line that is no field is passed over.

    Raises:
        HTTPException: more than MAX_FIELDS lines, as http.client has it; or LineTooLong.
    """
    pairs: list[tuple[str, str]] = []
    lines = 0
    while (line := readline(_LONGEST_LINE + 1)) not in (b"\r\n", b"\n", b""):
        lines += 1
        if len(line) > _LONGEST_LINE:
            raise LineTooLong("header line")
        if lines > MAX_FIELDS:
            raise HTTPException
        text = line.decode("latin-1").rstrip("\r\n")
        if text[:1] in (" ", "\t"):
            # RFC 9112, section 5.2: a value on two lines, obsolete, is one with a space in it.
            if pairs:
                name, value = pairs[-1]
                pairs[-1] = (name, f"{value} {text.strip()}")
            continue
        found = _FIELD.match(text)
        if found is not None:
            pairs.append((found[1], found[2].rstrip(" \t")))
    return HeaderFields(pairs)
