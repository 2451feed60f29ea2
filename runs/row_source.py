"""Many rows as the parameters of one statement: the one place that knows how batches travel to the database.

PostgreSQL gets one binary array per column: nothing is quoted, a body of 100 KB is copied, not escaped, and the
statement's text stays the same whatever the number of rows. SQLite, which has no arrays, gets a list of VALUES.
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

    `array` is the type of their array on PostgreSQL, the widest of its kind: what the column refuses must get as far as
    the column. `cast` is for element types that are sent as text. `encode` is never asked about None.
    """

    array: str
    encode: Callable[[Any], Any] | None = None
    cast: str = ""
    encode_sqlite: Callable[[Any], Any] | None = None


def _sqlite_moment(value: datetime) -> str:
    return str(value.astimezone(UTC).replace(tzinfo=None))


# Enumerations are text to a database; whole numbers among floats would make a list of two types.
_KINDS: dict[type[Column], _Kind] = {
    models.UUIDField: _Kind("uuid[]", encode_sqlite=lambda value: value.hex),
    models.DateTimeField: _Kind("timestamptz[]", encode_sqlite=_sqlite_moment),
    models.CharField: _Kind("text[]", str, encode_sqlite=str),
    models.TextField: _Kind("text[]", str, encode_sqlite=str),
    models.BooleanField: _Kind("boolean[]", bool, encode_sqlite=bool),
    models.FloatField: _Kind("float8[]", float, encode_sqlite=float),
    models.JSONField: _Kind("text[]", json.dumps, "::jsonb", json.dumps),
    models.GenericIPAddressField: _Kind("text[]", str, "::inet", str),
}
_INTEGER = _Kind("bigint[]")


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
    with binary_cursor() if connection.vendor == "postgresql" else connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(statement.format(rows=_arrays_sql(kinds)), _arrays(kinds, rows))
            return cursor.fetchall() if cursor.description else []
        found: list[tuple[Any, ...]] = []
        step = MOST_PARAMETERS // len(kinds)
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            cursor.execute(statement.format(rows=_values_sql(len(kinds), len(part))), _flat(kinds, part))
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


def _arrays_sql(kinds: Sequence[_Kind]) -> str:
    names = [f"column{number}" for number in range(1, len(kinds) + 1)]
    elements = ", ".join(f"{name}{kind.cast} AS {name}" for name, kind in zip(names, kinds, strict=True))
    arrays = ", ".join(f"%b::{kind.array}" for kind in kinds)
    return f"(SELECT {elements} FROM unnest({arrays}) AS u({', '.join(names)}))"  # noqa: S608 - no value of anyone's


def _arrays(kinds: Sequence[_Kind], rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [
        list(values)
        if (encode := kind.encode) is None
        else [None if value is None else encode(value) for value in values]
        for kind, values in zip(kinds, zip(*rows, strict=True), strict=True)
    ]


def _values_sql(width: int, height: int) -> str:
    row = f"({', '.join(['%s'] * width)})"
    return f"(VALUES {', '.join([row] * height)})"


def _flat(kinds: Sequence[_Kind], rows: Sequence[Sequence[Any]]) -> list[Any]:
    return [
        value if value is None or (encode := kind.encode_sqlite) is None else encode(value)
        for row in rows
        for kind, value in zip(kinds, row, strict=True)
    ]
