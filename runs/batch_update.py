"""One statement for many rows, each with its own values: a batch is a round trip, not a loop of saves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from django.db import DataError, IntegrityError, connection, models, transaction

from runs.row_source import columns_of, execute_with_rows

Item = TypeVar("Item")


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
    quote = connection.ops.quote_name
    columns = columns_of(model, (*match, *write))
    pairs = [f"{quote(str(field.column))} = v.column{number}" for number, field in enumerate(columns, start=1)]
    conditions = [f"t.{pair}" for pair in pairs[: len(match)]] + ([condition] if condition else [])
    written = execute_with_rows(
        f"UPDATE {quote(model._meta.db_table)} AS t SET {', '.join(pairs[len(match) :])}"  # noqa: S608 - names of models
        f" FROM {{rows}} AS v WHERE {' AND '.join(conditions)} RETURNING id",
        columns,
        rows,
    )
    return _keys(written)


def existing_ids(model: type[models.Model], ids: Sequence[UUID]) -> set[UUID]:
    """Which of the ids are there."""
    found = execute_with_rows(
        f"SELECT t.id FROM {connection.ops.quote_name(model._meta.db_table)} AS t"  # noqa: S608 - names of models
        " JOIN {rows} AS v ON t.id = v.column1",
        columns_of(model, ("id",)),
        [(row_id,) for row_id in ids],
    )
    return _keys(found)


def _keys(rows: Sequence[tuple[Any, ...]]) -> set[UUID]:
    # SQLite keeps them as text.
    return {key if isinstance(key, UUID) else UUID(key) for (key,) in rows}


def insert_rows(model: type[models.Model], write: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows with these values of the `write` fields: all that the database neither fills in nor lets be null."""
    quote = connection.ops.quote_name
    columns = columns_of(model, write)
    names = ", ".join(quote(str(column.column)) for column in columns)
    execute_with_rows(
        f"INSERT INTO {quote(model._meta.db_table)} ({names}) SELECT * FROM {{rows}} AS v",  # noqa: S608 - names of models
        columns,
        rows,
    )


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
