"""Insert rows, or add to those that exist: the one statement that Django's own upsert, which overwrites, can't make."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection, models

from runs.row_source import columns_of, execute_with_rows


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
    execute_with_rows(_statement(model, key, summed, newest), columns_of(model, (*key, *summed, *newest)), rows)


def _statement(model: type[models.Model], key: Sequence[str], summed: Sequence[str], newest: Sequence[str]) -> str:
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    names = (*key, *summed, *newest)
    columns = {name: quote(str(field.column)) for name, field in zip(names, columns_of(model, names), strict=True)}
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
        # Without WHERE, SQLite would take ON CONFLICT for the condition of a join.
        f"INSERT INTO {table} ({', '.join(columns.values())}) SELECT * FROM {{rows}} AS v WHERE true"  # noqa: S608 - names of our own models
        f" ON CONFLICT ({conflict}) DO UPDATE SET {', '.join(changes)}"
    )
