"""Real workers and a real target for the guarantees; a database server that tests may stop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import target, workers  # noqa: F401 - fixtures
from tests.postgres_server import PostgresServer


@pytest.fixture(scope="package")
def own_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server that belongs to these tests: they stop and start it."""
    server = PostgresServer()
    yield server
    server.remove()
