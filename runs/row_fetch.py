"""Some columns of many rows, fetched as plain tuples: the reads of the ticks.

They would spend most of their time on making model instances, and on parsing moments out of text.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.db import connection, models
from django.db.models.sql.compiler import SQLCompiler

from runs.row_source import binary_cursor

Row = tuple[Any, ...]
# Stand for a caller's values while Django words a query.
_MARKED_YEAR = datetime(1, 1, 1, tzinfo=UTC)
_MOST_WORDINGS = 256


class RepeatedQuery:
    """A query that every tick sends with other values. Django takes longer to word it than the database to answer.

    So it is worded once for each shape of the values: moments are all alike, ids differ by their number, the rest by
    itself.
    """

    def __init__(self, select: Callable[..., models.QuerySet[Any]], names: Sequence[str]) -> None:
        """What is asked.

        Args:
            select: makes the queryset for given values, of which each moment and each id must end up in a parameter.
            names: at least two, each once: columns of the model (`target_id`) and of what it references
                (`target__name`). Only those whose stored form is their value: no JSON, nothing encrypted.
        """
        self._select = select
        self._names = names
        self._wordings: dict[Hashable, _Wording] = {}

    def fetch(self, *values: datetime | int | Sequence[UUID]) -> list[Row]:
        """What `values_list` of the names gives for the queryset of these values, for queries that lock rows too."""
        if connection.vendor != "postgresql":
            return list(self._select(*values).values_list(*self._names))
        shape = tuple(_shape(value) for value in values)
        wording = self._wordings.get(shape)
        if wording is None:
            if len(self._wordings) >= _MOST_WORDINGS:
                self._wordings.clear()
            wording = self._wordings[shape] = self._reword(values)
        flat = _flat(values)
        params = [flat[param.place] if isinstance(param, _Place) else param for param in wording.params]
        with binary_cursor() as cursor:
            cursor.execute(wording.sql, params)
            return [wording.pick(row) for row in cursor.fetchall()]

    def _reword(self, values: Sequence[datetime | int | Sequence[UUID]]) -> _Wording:
        marks = [_mark(value, number) for number, value in enumerate(values)]
        places = {mark: _Place(place) for place, mark in enumerate(_flat(marks)) if not isinstance(mark, int)}
        sql, params, pick = _word(self._select(*marks), self._names)
        marked = tuple(places.get(param, param) if isinstance(param, datetime | UUID) else param for param in params)
        if missing := places.keys() - set(params):
            raise TypeError(f"{len(missing)} values are not among the parameters of {sql}")
        return _Wording(sql, marked, pick)


@dataclass(frozen=True, slots=True)
class _Place:
    """A parameter that is the caller's: its place among all values."""

    place: int


@dataclass(frozen=True, slots=True)
class _Wording:
    sql: str
    params: Sequence[Any]
    pick: Callable[[Row], Row]


def _shape(value: datetime | int | Sequence[UUID]) -> Hashable:
    if isinstance(value, datetime):
        return "moment"
    return value if isinstance(value, int) else ("ids", len(value))


def _mark(value: datetime | int | Sequence[UUID], number: int) -> Any:
    if isinstance(value, datetime):
        return _MARKED_YEAR + timedelta(days=number)
    return value if isinstance(value, int) else [UUID(fields=(number, 0, 0, 0, 0, item)) for item in range(len(value))]


def _flat(values: Sequence[Any]) -> list[Any]:
    return [item for value in values for item in (value if isinstance(value, Sequence) else (value,))]


def _word(queryset: models.QuerySet[Any], names: Sequence[str]) -> tuple[str, Sequence[Any], Callable[[Row], Row]]:
    """SQL, parameters, and what picks the named columns from a row."""
    # Django can't lock the rows of one table of several (FOR UPDATE OF) in a query for values: so this is the query for
    # instances, which are then not made.
    references = {name.partition("__")[0] for name in names if "__" in name}
    if references:
        queryset = queryset.select_related(*references)
    compiler = queryset.only(*names).query.get_compiler(connection=connection)
    sql, params = compiler.as_sql()
    return sql, params, itemgetter(*_positions(compiler, names))


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
