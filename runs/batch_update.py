"""One UPDATE for many rows, each with its own values: a batch is a round trip, not a loop of saves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from django.db import DataError, IntegrityError, connection, models, transaction

Item = TypeVar("Item")
Column = models.Field[Any, Any]


def _cast(field: Column) -> str:
    # A cast to varchar(n) would cut a long value silently; as text the column itself refuses it.
    kind = "text" if isinstance(field, models.CharField) else field.db_type(connection)
    return f"%s::{kind}" if connection.vendor == "postgresql" else "%s"


def _update_sql(
    model: type[models.Model], columns: Sequence[Column], *, matched: int, count: int, condition: str
) -> str:
    """UPDATE ... FROM (VALUES ...) over `count` rows; the first `matched` columns identify the row."""
    quote = connection.ops.quote_name
    # The first row's casts give the columns of VALUES their types; both databases call them column1, column2 ...
    first = f"({', '.join(_cast(field) for field in columns)})"
    rest = f", ({', '.join(['%s'] * len(columns))})" * (count - 1)
    pairs = [f"{quote(str(field.column))} = v.column{number}" for number, field in enumerate(columns, start=1)]
    conditions = [f"t.{pair}" for pair in pairs[:matched]] + ([condition] if condition else [])
    return (
        f"UPDATE {quote(model._meta.db_table)} AS t SET {', '.join(pairs[matched:])}"  # noqa: S608 - names of models
        f" FROM (VALUES {first}{rest}) AS v WHERE {' AND '.join(conditions)} RETURNING id"
    )


def update_rows(
    model: type[models.Model],
    *,
    match: Sequence[str],
    write: Sequence[str],
    rows: Sequence[Sequence[Any]],
    condition: str = "",
) -> set[UUID]:
    """Set the `write` fields of the rows whose `match` fields have the given values.

    Args:
        match: field names that identify a row and fence the write, the primary key among them.
        rows: one sequence per row: the values of `match`, then those of `write`.
        condition: a further SQL condition over the table's alias `t`.

    Returns:
        The primary keys of the rows that were written; a row that no longer matches is left alone.
    """
    if not rows:
        return set()
    by_name = {field.name: field for field in model._meta.concrete_fields}
    columns = [by_name[name] for name in (*match, *write)]
    sql = _update_sql(model, columns, matched=len(match), count=len(rows), condition=condition)
    values = [
        field.get_db_prep_save(value, connection) for row in rows for field, value in zip(columns, row, strict=True)
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return {key if isinstance(key, UUID) else UUID(key) for (key,) in cursor.fetchall()}


def write_or_isolate(items: Sequence[Item], write: Callable[[Sequence[Item]], object]) -> list[tuple[Item, Exception]]:
    """Write all items at once; where the database refuses the batch, one by one.

    Returns:
        The items that the database refuses even alone, with the reason: one bad row never stops the others.
    """
    try:
        with transaction.atomic():
            write(items)
    except (DataError, IntegrityError) as error:
        if len(items) == 1:
            return [(items[0], error)]
    else:
        return []
    return [refused for item in items for refused in write_or_isolate([item], write)]
