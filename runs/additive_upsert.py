"""Insert rows, or add to those that exist: the one statement that Django's own upsert, which overwrites, can't make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from django.db import connection, models

# SQLite takes 32,766 parameters in one statement.
ROWS_PER_STATEMENT = 1000


def add_rows(
    model: type[models.Model],
    *,
    key: Sequence[str],
    summed: Sequence[str],
    newest: Sequence[str] = (),
    rows: Sequence[Sequence[object]],
) -> None:
    """Write `rows`, whose values are those of the fields `key`, `summed` and `newest`, in this order.

    Where the key exists, `summed` fields add up, and the `newest` fields are taken over together if the first of them,
    a moment, is not older than the stored one. Rows are locked in the order given: sort them, and two writers can't
    deadlock. The statement is the same on PostgreSQL and SQLite.
    """
    fields = [_concrete(model, name) for name in (*key, *summed, *newest)]
    statement = _statement(model, key, summed, newest)
    place = f"({', '.join(['%s'] * len(fields))})"
    with connection.cursor() as cursor:
        for start in range(0, len(rows), ROWS_PER_STATEMENT):
            batch = rows[start : start + ROWS_PER_STATEMENT]
            values = [
                field.get_db_prep_save(value, connection)
                for row in batch
                for field, value in zip(fields, row, strict=True)
            ]
            cursor.execute(statement.format(places=", ".join([place] * len(batch))), values)


def _statement(model: type[models.Model], key: Sequence[str], summed: Sequence[str], newest: Sequence[str]) -> str:
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    columns = {name: quote(str(_concrete(model, name).column)) for name in (*key, *summed, *newest)}
    changes = [f"{columns[name]} = {table}.{columns[name]} + EXCLUDED.{columns[name]}" for name in summed]
    if newest:
        moment = columns[newest[0]]
        newer = f"{table}.{moment} IS NULL OR EXCLUDED.{moment} >= {table}.{moment}"
        changes += [
            f"{columns[name]} = CASE WHEN {newer} THEN EXCLUDED.{columns[name]} ELSE {table}.{columns[name]} END"
            for name in newest
        ]
    conflict = ", ".join(columns[name] for name in key)
    return (
        f"INSERT INTO {table} ({', '.join(columns.values())}) VALUES {{places}}"  # noqa: S608 - names of our own models
        f" ON CONFLICT ({conflict}) DO UPDATE SET {', '.join(changes)}"
    )


def _concrete(model: type[models.Model], name: str) -> models.Field[Any, Any]:
    return cast("models.Field[Any, Any]", model._meta.get_field(name))
