"""What benchmarks run on: a durable private PostgreSQL server, targets, databases; all gone at the end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import psycopg
from cryptography.fernet import Fernet

from bench.databases import Database, PostgresDatabase, SqliteDatabase
from tests.postgres_server import PostgresServer

CHECKOUT = Path(__file__).resolve().parent.parent
# fsync, full_page_writes and synchronous_commit stay on. The rest is what a server of this size would be given;
# commits' times say when a drain had ended.
SERVER = {
    "shared_buffers": "1GB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "track_commit_timestamp": "on",
    "max_connections": "300",
}
# A database that is being written on purpose has no time limits of the worker's; Django must not meet them either.
SEED_SECONDS = 600


class Target:
    """A target server of our own, as many targets as it has ports."""

    def __init__(self, process: subprocess.Popen[str], *, scheme: str = "http") -> None:
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        self.process = process
        self.ports: list[int] = ports["ports"]
        self.urls = [f"{scheme}://127.0.0.1:{port}/" for port in self.ports]
        self._control = f"http://127.0.0.1:{ports['control']}"

    def calls(self) -> list[tuple[str, float]]:
        """Key ("-" without one) and time of arrival of every call since `forget`."""
        lines = self._ask("calls").decode().splitlines()
        return [(key, float(at)) for key, at in (line.split() for line in lines)]

    def count(self) -> int:
        """How many calls have come since `forget`."""
        return int(self._ask("count"))

    def forget(self) -> None:
        """Begin a new log."""
        self._ask("forget")

    def _ask(self, what: str) -> bytes:
        with urllib.request.urlopen(f"{self._control}/{what}", timeout=30) as answer:
            content: bytes = answer.read()
            return content


class Stage:
    """Built on entry, torn down on exit."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="bench-"))
        self.server = PostgresServer(durable=True, configuration=SERVER)
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "DATABASE_POOLED")},
            "API_SCHEDULER_ENV_FILE": os.devnull,
            "SECRET_KEY": Fernet.generate_key().decode(),
            "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            # The targets are on this machine.
            "EGRESS_ALLOW_CIDRS": "127.0.0.0/8",
        }
        self._targets: dict[tuple[str, ...], Target] = {}
        self._databases: dict[tuple[object, ...], Database] = {}

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for target in self._targets.values():
            target.process.kill()
            target.process.communicate()
        self.server.remove()
        shutil.rmtree(self.directory, ignore_errors=True)

    def target(self, *, delay_ms: float = 0, body_bytes: int = 0) -> Target:
        """The target server of this kind: eight targets, started when first asked for."""
        return self.start_target(f"--delay-ms={delay_ms}", f"--body-bytes={body_bytes}")

    def start_target(self, *options: str, scheme: str = "http") -> Target:
        """A target server with these options; the same one for the same options."""
        if options not in self._targets:
            self._targets[options] = Target(self.spawn("bench.target_server", *options), scheme=scheme)
        return self._targets[options]

    def postgres(self, name: str, urls: Sequence[str] = (), **seed: float) -> PostgresDatabase:
        """A database on the private server, filled by bench.seed; the same one for the same arguments.

        `history`: so many idle schedules as well, and `past` (as many, unless given) ended Runs (bench.history).
        """
        key = (name, *urls, *sorted(seed.items()))
        found = self._databases.get(key)
        if found is None:
            with psycopg.connect(self.server.url(), autocommit=True) as connection:
                connection.execute(f'CREATE DATABASE "{name}"')
            url = self.server.url(name)
            history = int(seed.pop("history", 0))
            past = int(seed.pop("past", history))
            self.seed(url, urls, **seed)
            if history:
                self.run("bench.history", f"--idle={history}", f"--past={past}", DATABASE_URL=url)
            found = self._databases[key] = PostgresDatabase(url, self.server.directory)
            found.rows("VACUUM (ANALYZE)")
            found.rows("CHECKPOINT")
        assert isinstance(found, PostgresDatabase)
        return found

    def drop(self, database: PostgresDatabase) -> None:
        """Free the disk of a database that is no longer needed."""
        self._databases = {key: kept for key, kept in self._databases.items() if kept is not database}
        name = database.rows("SELECT current_database()")[0][0]
        database.close()
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def sqlite(self, name: str, urls: Sequence[str] = (), **seed: float) -> SqliteDatabase:
        """The same as a file."""
        key = ("sqlite", name, *urls, *sorted(seed.items()))
        found = self._databases.get(key)
        if found is None:
            found = self._databases[key] = SqliteDatabase(self.directory / f"{name}.db")
            self.seed(found.url, urls, **seed)
        assert isinstance(found, SqliteDatabase)
        return found

    def seed(self, url: str, urls: Sequence[str], **options: float) -> None:
        """Migrate and fill a database."""
        arguments = [f"--{name}={value}" for name, value in options.items()]
        self.run("bench.seed", *arguments, *urls, DATABASE_URL=url)

    def run(self, module: str, *arguments: str, **environment: str) -> str:
        """What a module of ours prints; its errors go to the terminal.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        return subprocess.run(
            [sys.executable, "-m", module, *arguments], cwd=CHECKOUT, env={**self.environment, **environment},
            stdout=subprocess.PIPE, text=True, check=True, timeout=SEED_SECONDS,
        ).stdout  # fmt: skip

    def spawn(
        self, module: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start a module of ours; its output is a pipe."""
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments], cwd=CHECKOUT, env={**self.environment, **(environment or {})},
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
