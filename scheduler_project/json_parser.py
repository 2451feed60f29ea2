"""Reading JSON strictly: what RFC 8259 leaves to luck is refused, and each refusal says where.

Not JSON (also NaN, Infinity, a byte order mark, bad UTF-8): 400. Too deep: 413. Repeated names, NUL, lone surrogates
and numbers beyond 1e308: 422 with a pointer.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import IO, Any, NoReturn

from rest_framework.parsers import JSONParser

from scheduler_project.problems import FieldError, NotJson, TooLarge, Unacceptable, pointer_to

MAX_DEPTH = 64
# As many as the largest float has: whole numbers of up to so many reach the field, which knows its range and names it.
MAX_DIGITS = 308
UNSAFE_TEXT = re.compile("[\x00\ud800-\udfff]")


class _Repeated(dict[str, Any]):
    """An object in which `name` occurred twice."""

    name = ""


class _OutOfRange:
    """A number that no field could take, not even to compare it with its range."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    repeated = _Repeated(found)
    for name, _ in pairs:
        if name in seen:
            repeated.name = name
        seen.add(name)
    return repeated


def _integer(digits: str) -> int | _OutOfRange:
    # Compared by length first: Python refuses to convert thousands of digits, and quadratic time is no answer.
    return int(digits) if len(digits.lstrip("-")) <= MAX_DIGITS else _OutOfRange()


def _number(text: str) -> float | _OutOfRange:
    number = float(text)
    return number if math.isfinite(number) else _OutOfRange()


def _constant(name: str) -> NoReturn:
    raise NotJson(f"The body is not JSON: {name} is not a JSON value.")


def text_problem(text: str) -> str | None:
    """Why no text with these characters can be stored, or None where it can."""
    found = UNSAFE_TEXT.search(text)
    if found is None:
        return None
    return "Must not contain the NUL character." if found[0] == "\0" else "Must not contain half of a surrogate pair."


def parse_strictly(raw: bytes) -> Any:
    """The JSON value in `raw`.

    Raises:
        NotJson: not RFC 8259, or not UTF-8.
        TooLarge: nested deeper than `MAX_DEPTH`.
        Unacceptable: repeated names, NUL, lone surrogates, numbers beyond 1e308.
    """
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_pairs,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_constant,
        )
    except UnicodeDecodeError as error:
        raise NotJson(f"The body is not UTF-8: byte {error.start} can't be read.") from error
    except json.JSONDecodeError as error:
        raise NotJson(f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from error
    except RecursionError as error:
        raise _too_deep() from error
    errors = list(_walk(value))
    if errors:
        raise Unacceptable(errors)
    return value


def _too_deep() -> TooLarge:
    return TooLarge(f"The body is nested too deeply: at most {MAX_DEPTH} levels.")


def _walk(root: Any) -> Iterator[FieldError]:
    """Everything that can't be accepted, with its place; a loop, because the depth is the sender's choice."""
    waiting: list[tuple[Any, tuple[str | int, ...]]] = [(root, ())]
    while waiting:
        value, path = waiting.pop()
        if isinstance(value, str):
            problem = text_problem(value)
            if problem:
                yield FieldError(pointer_to(*path), "unsafe_text", problem)
        elif isinstance(value, _OutOfRange):
            yield FieldError(pointer_to(*path), "out_of_range", "This number is out of range: at most 1e308 is read.")
        elif isinstance(value, dict | list):
            if len(path) >= MAX_DEPTH:
                raise _too_deep()
            if isinstance(value, dict):
                yield from _wrong_names(value, path)
            items = value.items() if isinstance(value, dict) else enumerate(value)
            waiting.extend((inner, (*path, step)) for step, inner in items)


def _wrong_names(value: dict[str, Any], path: tuple[str | int, ...]) -> Iterator[FieldError]:
    if isinstance(value, _Repeated):
        yield FieldError(pointer_to(*path, _printable(value.name)), "repeated", "This name occurs more than once.")
    for name in value:
        problem = text_problem(name)
        if problem:
            yield FieldError(pointer_to(*path, _printable(name)), "unsafe_text", f"This name: {problem}")


def _printable(name: str) -> str:
    return UNSAFE_TEXT.sub("\N{REPLACEMENT CHARACTER}", name)


class StrictJSONParser(JSONParser):
    """REST framework's parser for `application/json`, strict."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """See `parse_strictly`; the size is bounded by DATA_UPLOAD_MAX_MEMORY_SIZE before we get here."""
        return parse_strictly(stream.read())
