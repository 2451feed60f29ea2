"""Taking the first few of many rows, in the order of an index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def index_order() -> Iterator[None]:
    """Within a transaction: meanwhile PostgreSQL reads rows in the order of an index rather than sort them.

    Its statistics are mostly from a time when nothing waited. By them, "the first hundred by time" are a handful,
    quickly sorted; in a backlog it would then read, join and sort all that waits, for each batch again. `SET LOCAL`, so
    that a pooled session keeps nothing of it. SQLite follows its index by itself.
    """
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_sort = off")
        yield
        # After an error the transaction is over, and the setting with it.
        cursor.execute("SET LOCAL enable_sort = on")
