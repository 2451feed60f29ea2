"""What the database plans to do for the statements that some code sends."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from django.db import connection


def plans_of(work: Callable[[], object]) -> list[str]:
    """Run `work` and ask for the plan of each SELECT it sent, with the parameters it sent."""
    with _statements() as sent:
        work()
    return [_plan(sql, params) for sql, params in sent if sql.startswith("SELECT")]


@contextmanager
def _statements() -> Iterator[list[tuple[str, Any]]]:
    sent: list[tuple[str, Any]] = []

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        sent.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield sent


def _plan(sql: str, params: Any) -> str:
    explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {sql}", params)
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


@dataclass(frozen=True, slots=True)
class Plan:
    """A statement, the nodes of its plan (type of node and table, such as `Seq Scan runs_run`), and for each table that
    it reads how many rows of it were looked at, matching or not; 0 for statements that change something.
    """

    sql: str
    nodes: tuple[str, ...]
    rows_read: Mapping[str, int]


@contextmanager
def every_plan() -> Iterator[list[Plan]]:
    """PostgreSQL's plan of every statement that this process sends meanwhile, with the parameters that it sends.

    Whichever way it goes: through Django's cursors or through psycopg's own, which `execute_wrapper` doesn't see.
    Planned right before it is carried out, in the state of the tables at that moment; those that only read are carried
    out for the count of rows as well.
    """
    plans: list[Plan] = []
    original = psycopg.Cursor.execute

    def execute(cursor: psycopg.Cursor[Any], query: Any, params: Any = None, **options: Any) -> Any:
        text = (query.decode() if isinstance(query, bytes) else str(query)).strip()
        if text.startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
            how = "ANALYZE, FORMAT JSON" if text.startswith("SELECT") else "FORMAT JSON"
            asking = type(cursor)(cursor.connection)
            # Text, whatever format the caller wants its rows in.
            [(plan,)] = original(asking, f"EXPLAIN ({how}) {text}", params, binary=False).fetchall()
            plans.append(_read_plan(text, plan if isinstance(plan, list) else json.loads(plan)))
        return original(cursor, query, params, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", execute)
        yield plans


def scale_statistics(tables: Sequence[str], rows: int) -> None:
    """Tell PostgreSQL's planner that each of these analysed tables has `rows` rows; rolled back with the transaction.

    The planner takes the number of blocks from the disk and how many rows a block has from pg_class: so many rows in
    so few blocks make reading the whole table look cheaper than it is. A plan that uses the index all the same would
    use it on the larger table too. The statistics of columns are shares, which stay as they are.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE pg_class c SET reltuples = c.reltuples * %s / t.reltuples FROM pg_class t"
            " WHERE t.relname = ANY(%s) AND t.relkind = 'r' AND t.reltuples > 0 AND (c.oid = t.oid OR c.oid IN"
            " (SELECT indexrelid FROM pg_index WHERE indrelid = t.oid))",
            [rows, list(tables)],
        )


def _read_plan(sql: str, plan: Any) -> Plan:
    nodes: list[str] = []
    read: Counter[str] = Counter()

    def walk(node: dict[str, Any]) -> None:
        table = node.get("Relation Name", "")
        nodes.append(f"{node['Node Type']} {table}".strip())
        if table:
            per_loop = node.get("Actual Rows", 0) + node.get("Rows Removed by Filter", 0)
            read[table] += round(per_loop * node.get("Actual Loops", 0))
        for child in node.get("Plans", []):
            walk(child)

    walk(plan[0]["Plan"])
    return Plan(sql, tuple(nodes), read)
