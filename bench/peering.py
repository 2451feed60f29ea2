"""Peers: their environments, and the measurement of one drain by each of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from bench.account import take_account
from bench.databases import PostgresDatabase, wait_until_drained
from bench.question import Sample
from bench.stage import CHECKOUT, Stage, Target

PEERS = Path(__file__).resolve().parent / "peers"
# Where environments are kept between runs, if the caller wants that; else they go with the stage.
KEEP = "BENCH_PEERS_DIR"
START_SECONDS = 60
DRAIN_SECONDS = 240
REDIS_PORTLESS = ("--port", "0", "--save", "", "--appendonly", "no", "--daemonize", "no")


class PeerMissing(RuntimeError):
    """The peer can't be had here; the message says what is missing."""


def environment(stage: Stage, name: str, *, with_project: bool = False) -> Path:
    """The interpreter of a throw-away environment with `bench/peers/NAME.txt`, made when first asked for.

    Raises:
        PeerMissing: pip can't install it.
    """
    home = Path(os.environ.get(KEEP) or stage.directory / "peers") / name
    python = home / "bin" / "python"
    lists = [CHECKOUT / "requirements.txt"] if with_project else []
    lists.append(PEERS / f"{name}.txt")
    wants, ready = "\n".join(wanted.read_text() for wanted in lists), home / "ready"
    if ready.exists() and ready.read_text() == wants:
        return python
    shutil.rmtree(home, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    for wanted in lists:
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(wanted)]
        if subprocess.run(command, check=False, stdout=sys.stderr).returncode:
            raise PeerMissing(f"pip can't install {wanted.name} into {home}")
    ready.write_text(wants)
    return python


@contextmanager
def redis_server(stage: Stage) -> Iterator[str]:
    """A private Redis without persistence, on a socket; the broker's URL.

    Raises:
        PeerMissing: there is no redis-server on this machine.
    """
    binary = shutil.which("redis-server")
    if binary is None:
        raise PeerMissing("redis-server is not installed (on Debian: apt install redis-server)")
    with tempfile.TemporaryDirectory(prefix="redis-", dir=stage.directory) as directory:
        socket = Path(directory) / "s"
        server = subprocess.Popen(
            [binary, *REDIS_PORTLESS, "--unixsocket", str(socket), "--dir", directory],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + START_SECONDS
            while not socket.exists():
                if server.poll() is not None or time.monotonic() > deadline:
                    raise PeerMissing("redis-server doesn't start")
                time.sleep(0.02)
            yield f"redis+socket://{socket}"
        finally:
            server.terminate()
            server.wait()


class CeleryPeer:
    """Celery in its environment, with a broker; `worker` runs `celery worker -P prefork -c 2`."""

    def __init__(self, stage: Stage, broker: str, database: PostgresDatabase) -> None:
        self._python = environment(stage, "celery", with_project=True)
        self._settings = {**stage.environment, "DATABASE_URL": database.url, "BENCH_BROKER": broker}

    def send(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the sender (see bench.peers.celery_peer)."""
        command = [str(self._python), "-m", "bench.peers.celery_peer", *arguments]
        return subprocess.Popen(command, cwd=CHECKOUT, env=self._settings)

    @contextmanager
    def worker(self) -> Iterator[None]:
        """Two processes that take tasks, until the end of the block."""
        command = [
            str(self._python), "-m", "celery", "-A", "bench.peers.celery_peer", "worker", "-P", "prefork", "-c", "2",
            "--loglevel=error", "--without-gossip", "--without-mingle", "--without-heartbeat",
        ]  # fmt: skip
        worker = subprocess.Popen(command, cwd=CHECKOUT, env=self._settings, stdout=subprocess.DEVNULL)
        try:
            yield
        finally:
            worker.terminate()
            try:
                worker.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


def celery_drain(stage: Stage, database: PostgresDatabase, target: Target, *, due: int) -> Sample:
    """Tasks wait in the broker; from the first record to the commit of the last."""
    target.forget()
    nominal = round(time.time(), 3)
    with redis_server(stage) as broker:
        peer = CeleryPeer(stage, broker, database)
        if peer.send("send", str(nominal)).wait(DRAIN_SECONDS):
            raise RuntimeError("the tasks could not be sent")
        with peer.worker():
            _wait_for(database, nominal, due)
    return _sample(database, target, nominal, due)


def async_drain(stage: Stage, database: PostgresDatabase, target: Target, *, due: int, name: str) -> Sample:
    """One process of a peer on asyncio; from the first record to the commit of the last."""
    target.forget()
    python = environment(stage, name)
    nominal = round(time.time() + 5, 3)
    environ = {**os.environ, "BENCH_DATABASE": sqlalchemy_url(database.url) if name == "apscheduler" else database.url}
    command = [str(python), "-m", f"bench.peers.{name}_peer", str(nominal)]
    subprocess.run(command, cwd=CHECKOUT, env=environ, check=True, timeout=DRAIN_SECONDS)
    return _sample(database, target, nominal, due)


def sqlalchemy_url(url: str) -> str:
    """The same database for SQLAlchemy's asyncpg."""
    parts = urlsplit(url)
    return f"postgresql+asyncpg://postgres@/{parts.path.lstrip('/')}?host={parse_qs(parts.query)['host'][0]}"


def _wait_for(database: PostgresDatabase, nominal: float, due: int) -> None:
    deadline = time.monotonic() + DRAIN_SECONDS
    ended = "SELECT count(*) FROM runs_run WHERE scheduled_at = {} AND completed_at IS NOT NULL"
    while database.rows(ended, database.moment(nominal))[0][0] < due:
        if time.monotonic() > deadline:
            raise TimeoutError(f"not drained within {DRAIN_SECONDS} s")
        time.sleep(0.2)


def _sample(database: PostgresDatabase, target: Target, nominal: float, due: int) -> Sample:
    account = take_account(database, nominal, due=due, calls=target.calls())
    first = "SELECT extract(epoch FROM min(created_at)) FROM runs_run WHERE scheduled_at = {}"
    began = float(database.rows(first, database.moment(nominal))[0][0])
    seconds = wait_until_drained(database, nominal, seconds=DRAIN_SECONDS) - began
    return Sample(account.rows / seconds, {"runs_per_second": round(account.rows / seconds, 1), "seconds": seconds})
