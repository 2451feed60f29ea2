"""Second parties: work on other connections at the same time, and a look at who waits for whom."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from django.db import connection, transaction

Answer = TypeVar("Answer")
PATIENCE_SECONDS = 20.0


def at_once(work: Callable[[int], Answer], count: int) -> list[Answer]:
    """Do `work(0)` to `work(count - 1)` at the same time, each on a connection of its own."""
    barrier = threading.Barrier(count)

    def one(number: int) -> Answer:
        try:
            barrier.wait(PATIENCE_SECONDS)
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(one, range(count)))


@contextmanager
def second_party() -> Iterator[Callable[[Callable[[], Answer]], Future[Answer]]]:
    """A way to start work on another connection; all of it has ended when the block has."""

    def closed(work: Callable[[], Answer]) -> Answer:
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        yield lambda work: threads.submit(closed, work)


class OpenTransaction:
    """A rival that has done its work on another connection, and commits when it is told to."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._done = threading.Event()
        self._go = threading.Event()

    def _hold(self) -> None:
        with transaction.atomic():
            try:
                self._work()
            finally:
                self._done.set()
            self._go.wait(PATIENCE_SECONDS)

    def commit(self) -> None:
        """Let the transaction end well."""
        self._go.set()

    @contextmanager
    def begun(self) -> Iterator[None]:
        """The work is done, nothing is committed; at the end of the block it is."""
        with second_party() as start:
            held = start(self._hold)
            assert self._done.wait(PATIENCE_SECONDS)
            try:
                yield
            finally:
                self.commit()
        held.result()


def wait_for_lock_waits(count: int = 1) -> None:
    """Until so many sessions of the test's database wait for a lock."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    deadline = time.monotonic() + PATIENCE_SECONDS
    with psycopg.connect(**parameters(), autocommit=True) as watcher:
        while (row := watcher.execute(sql).fetchone()) is None or row[0] < count:
            assert time.monotonic() < deadline, "nobody waits for a lock"
            time.sleep(0.01)


def parameters() -> dict[str, Any]:
    """How to reach the test's PostgreSQL database by psycopg, past Django."""
    return dict(connection.get_connection_params())
