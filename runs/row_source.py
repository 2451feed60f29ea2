"""Many rows as the parameters of one statement: the one place that knows how batches travel to the database.

A value that all rows share is sent once. Of the others PostgreSQL gets one binary array per column: nothing is quoted,
a body of 100 KB is copied, not escaped, and the statement does not grow with the rows. SQLite, which has no arrays,
gets a list of VALUES.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

import psycopg
from django.db import connection, models
from django.db.backends.utils import CursorWrapper

Column = models.Field[Any, Any]

# SQLite takes 32,766 parameters in one statement.
MOST_PARAMETERS = 32_000


@dataclass(frozen=True, slots=True)
class _Kind:
    """How the values of a column travel.

    `element` is their type on PostgreSQL, the widest of its kind: what the column refuses must get as far as
    the column. `cast` is for element types that are sent as text. `encode` is never asked about None.
    """

    element: str
    encode: Callable[[Any], Any] | None = None
    cast: str = ""
    encode_sqlite: Callable[[Any], Any] | None = None
    # Whether equal values are the same to the database: 0.0 and -0.0 are not.
    repeats: bool = True


def _sqlite_moment(value: datetime) -> str:
    return str(value.astimezone(UTC).replace(tzinfo=None))


# Enumerations are text to a database; whole numbers among floats would make a list of two types.
_KINDS: dict[type[Column], _Kind] = {
    models.UUIDField: _Kind("uuid", encode_sqlite=lambda value: value.hex),
    models.DateTimeField: _Kind("timestamptz", encode_sqlite=_sqlite_moment),
    models.CharField: _Kind("text", str, encode_sqlite=str),
    models.TextField: _Kind("text", str, encode_sqlite=str),
    models.BooleanField: _Kind("boolean", bool, encode_sqlite=bool),
    models.FloatField: _Kind("float8", float, encode_sqlite=float, repeats=False),
    models.JSONField: _Kind("text", json.dumps, "::jsonb", json.dumps),
    models.GenericIPAddressField: _Kind("text", str, "::inet", str),
}
_INTEGER = _Kind("bigint")


def columns_of(model: type[models.Model], names: Sequence[str]) -> list[Column]:
    """The fields of these names, in this order."""
    return [cast("Column", model._meta.get_field(name)) for name in names]


def execute_with_rows(
    statement: str, columns: Sequence[Column], rows: Sequence[Sequence[Any]]
) -> list[tuple[Any, ...]]:
    """Execute `statement`, in which `{rows}` stands for a table of `rows`, and fetch what it returns.

    The table's columns are called column1, column2 ... and hold the values of `columns`. On SQLite a statement with a
    great many rows becomes several.

    Raises:
        DataError: the database refuses a value; also IntegrityError, as every statement may.
        TypeError: there is no rule for a column of that type.
    """
    if not rows:
        return []
    kinds = [_kind_of(column) for column in columns]
    if connection.vendor == "postgresql":
        table, parameters = _arrays(kinds, rows)
        with binary_cursor() as cursor:
            cursor.execute(statement.format(rows=table), parameters)
            return cursor.fetchall() if cursor.description else []
    found: list[tuple[Any, ...]] = []
    step = MOST_PARAMETERS // len(kinds)
    with connection.cursor() as cursor:
        for start in range(0, len(rows), step):
            table, parameters = _values(kinds, rows[start : start + step])
            cursor.execute(statement.format(rows=table), parameters)
            found += cursor.fetchall()
    return found


@cache
def _kind_of(column: Column) -> _Kind:
    stored = column.target_field if isinstance(column, models.ForeignKey) else column
    # By the very class: a subclass, such as a field that encrypts, may store its values in a way of its own.
    kind = _KINDS.get(type(stored), _INTEGER if isinstance(stored, models.IntegerField) else None)
    if kind is None:
        raise TypeError(f"{column} can't be written in batches: runs.row_source has no rule for its type")
    return kind


def binary_cursor() -> CursorWrapper:
    """A cursor that binds parameters on the server; Django's own puts them into the text of the statement."""
    connection.ensure_connection()
    plain = psycopg.Cursor(cast("psycopg.Connection[Any]", connection.connection))
    plain.format = psycopg.pq.Format.BINARY
    # Both wrap what a driver gives, whatever their annotations say.
    cursor = cast("CursorWrapper", plain)
    return connection.make_debug_cursor(cursor) if connection.queries_logged else connection.make_cursor(cursor)


def _arrays(kinds: Sequence[_Kind], rows: Sequence[Sequence[Any]]) -> tuple[str, list[Any]]:
    """The rows as a subquery over arrays, and its parameters."""
    columns = [_encoded(kind.encode, values) for kind, values in zip(kinds, zip(*rows, strict=True), strict=True)]
    own = _own_columns(kinds, columns)
    selected = [
        f"{f'column{number}' if number in own else f'%b::{kind.element}'}{kind.cast} AS column{number}"
        for number, kind in enumerate(kinds, start=1)
    ]
    names = ", ".join(f"column{number}" for number in own)
    arrays = ", ".join(f"%b::{kinds[number - 1].element}[]" for number in own)
    table = f"(SELECT {', '.join(selected)} FROM unnest({arrays}) AS u({names}))"  # noqa: S608 - no values in it
    return table, [*_shared(columns, own), *(columns[number - 1] for number in own)]


def _values(kinds: Sequence[_Kind], rows: Sequence[Sequence[Any]]) -> tuple[str, list[Any]]:
    """The rows as a subquery over VALUES, and its parameters."""
    columns = [
        _encoded(kind.encode_sqlite, values) for kind, values in zip(kinds, zip(*rows, strict=True), strict=True)
    ]
    own = _own_columns(kinds, columns)
    # SQLite calls the columns of VALUES column1, column2 ...
    places = {number: f"column{place}" for place, number in enumerate(own, start=1)}
    selected = [f"{places.get(number, '%s')} AS column{number}" for number in range(1, len(kinds) + 1)]
    row = f"({', '.join(['%s'] * len(own))})"
    table = f"(SELECT {', '.join(selected)} FROM (VALUES {', '.join([row] * len(rows))}))"  # noqa: S608 - no values in it
    varying = zip(*(columns[number - 1] for number in own), strict=True)
    return table, [*_shared(columns, own), *(value for values in varying for value in values)]


def _encoded(encode: Callable[[Any], Any] | None, values: Sequence[Any]) -> list[Any]:
    if encode is None:
        return list(values)
    return [None if value is None else encode(value) for value in values]


def _own_columns(kinds: Sequence[_Kind], columns: Sequence[Sequence[Any]]) -> list[int]:
    """The numbers of the columns in which rows differ; most of a batch's don't. The first, the key, always counts."""
    return [
        number
        for number, (kind, column) in enumerate(zip(kinds, columns, strict=True), start=1)
        if number == 1 or not kind.repeats or column.count(column[0]) < len(column)
    ]


def _shared(columns: Sequence[Sequence[Any]], own: Sequence[int]) -> list[Any]:
    return [column[0] for number, column in enumerate(columns, start=1) if number not in own]
