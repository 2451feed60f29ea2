"""Settings and a database for tests, in the environment before pytest-django reads the settings module.

`TEST_DATABASE=postgres` (default) starts a private server for the session; `TEST_DATABASE=sqlite` takes a file in a
temporary directory; a DATABASE_URL that is already set wins (as it does in the workers of pytest-xdist, which share
the controller's server).
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres_server import PostgresServer

ENVIRONMENT = {
    "API_SCHEDULER_ENV_FILE": os.devnull,
    "SECRET_KEY": "only-for-tests-and-long-enough-for-the-deployment-check-0123456789",
    "FIELD_ENCRYPTION_KEYS": "mO8eBzXUzBzDkq1hp3XzFq3Xg6lUuS1m8T7JfXbq1pY=",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer `--database`, which beats TEST_DATABASE, and `--database-tests`."""
    parser.addoption(
        "--database",
        choices=("postgres", "sqlite"),
        default=os.environ.get("TEST_DATABASE", "postgres"),
        help="database to test on (default: the environment's TEST_DATABASE, else postgres)",
    )
    parser.addoption(
        "--database-tests", action="store_true", help="only the tests that use the database, for a second database"
    )


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Set the environment first, whatever the order of plugins: wrappers start before pytest-django's own hook."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if "DATABASE_URL" not in os.environ:
        wanted = early_config.known_args_namespace.database
        os.environ["DATABASE_URL"] = _postgres_url() if wanted == "postgres" else _sqlite_url()
    return (yield)


def _postgres_url() -> str:
    server = PostgresServer()
    atexit.register(server.remove)
    return server.url("api_scheduler")


def _sqlite_url() -> str:
    directory = Path(tempfile.mkdtemp(prefix="api-scheduler-tests-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return f"sqlite:///{directory}/api_scheduler.db"
