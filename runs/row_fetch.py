"""Some columns of many rows, fetched as plain tuples: the reads of the ticks.

They would spend most of their time on making model instances, and on parsing moments out of text.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from django.db import connection, models
from django.db.models.sql.compiler import SQLCompiler

from runs.row_source import binary_cursor


def fetch_rows(queryset: models.QuerySet[Any], names: Sequence[str]) -> list[tuple[Any, ...]]:
    """What `queryset.values_list(*names)` gives, for queries that lock rows too.

    Args:
        names: at least two, each once: columns of the model (`target_id`) and of what it references (`target__name`).
            Only those whose stored form is their value: no JSON, nothing encrypted.
    """
    if connection.vendor != "postgresql":
        return list(queryset.values_list(*names))
    # Django can't lock the rows of one table of several (FOR UPDATE OF) in a query for values: so this is the query for
    # instances, which are then not made.
    references = {name.partition("__")[0] for name in names if "__" in name}
    if references:
        queryset = queryset.select_related(*references)
    compiler = queryset.only(*names).query.get_compiler(connection=connection)
    sql, params = compiler.as_sql()
    pick = itemgetter(*_positions(compiler, names))
    with binary_cursor() as cursor:
        cursor.execute(sql, params)
        return [pick(row) for row in cursor.fetchall()]


def _positions(compiler: SQLCompiler, names: Sequence[str]) -> list[int]:
    """Where the query selects the named columns."""
    found: dict[str, int] = {}

    def look(info: dict[str, Any], prefix: str) -> None:
        for position in info["select_fields"]:
            found[f"{prefix}{compiler.select[position][0].target.attname}"] = position
        for related in info.get("related_klass_infos", ()):
            look(related, f"{prefix}{related['field'].name}__")

    look(compiler.klass_info, "")
    return [found[name] for name in names]
