"""Real workers and a real target for the guarantees; a database server that tests may stop."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection

from tests.acceptance.conftest import CHECKOUT, Workers, target, workers  # noqa: F401 - fixtures
from tests.postgres_server import PostgresServer

_numbers = itertools.count(1)
Reach = Callable[..., None]


@pytest.fixture(scope="package")
def own_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server that belongs to these tests: they stop and start it. What it commits survives that."""
    server = PostgresServer(durable=True)
    yield server
    server.remove()


@pytest.fixture
def reach(transactional_db: None) -> Iterator[Reach]:
    """Lets Django in this process use another database until the test is over: `reach(HOST=..., NAME=...)`."""
    saved = dict(connection.settings_dict)

    def change(**settings: Any) -> None:
        connection.close()
        connection.settings_dict.update(settings)

    yield change
    change(**saved)


@pytest.fixture
def stoppable(own_server: PostgresServer, reach: Reach, tmp_path: Path) -> Iterator[Workers]:
    """Workers on a new, migrated database of `own_server`, which this process uses as well."""
    name = f"stoppable_{next(_numbers)}"
    with psycopg.connect(own_server.url(), autocommit=True) as first:
        first.execute(f"CREATE DATABASE {name}")
    reach(HOST=str(own_server.directory), PORT="", USER="postgres", PASSWORD="", NAME=name)
    call_command("migrate", verbosity=0)
    running = Workers(own_server.url(name), tmp_path)
    yield running
    running.close()


def manage(environment: dict[str, str], *arguments: str) -> str:
    """Run `manage.py` with the environment; what it printed."""
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, check=True, capture_output=True, text=True).stdout
