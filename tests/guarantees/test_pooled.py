"""All of it behind PgBouncer in transaction mode (DATABASE_POOLED): G1, G10 and G20 need nothing of a session."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from django.db import connection

from runs.models import Attempt, Run
from schedules.models import Schedule
from tests.acceptance.conftest import CHECKOUT, PATIENCE_SECONDS, Workers, wait_until
from tests.guarantees.conftest import Reach, manage
from tests.http_target import RecordingTarget
from tests.postgres_server import PostgresServer

# Debian puts servers where not every user's PATH leads.
PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

pytestmark = [
    pytest.mark.postgres_only,
    pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed (on Debian: apt install pgbouncer)"),
]

PORT = 6432
# Longer than anybody would wait for an answer.
LONG_SECONDS = 60
CONFIGURATION = """\
[databases]
* = host={server}
[pgbouncer]
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
listen_addr =
listen_port = {port}
unix_socket_dir = {directory}
auth_type = trust
server_login_retry = 1
query_wait_timeout = {patience}
auth_file = {directory}/users.txt
logfile = {directory}/pgbouncer.log
"""


@pytest.fixture
def pooler(own_server: PostgresServer, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The directory of a PgBouncer's socket; it has fewer connections to the server than its clients have to it.

    Its parameter is for how many seconds it lets queries wait for a server that is away.
    """
    directory = Path(tempfile.mkdtemp(prefix="pool-", dir="/tmp"))
    (directory / "users.txt").write_text('"postgres" ""\n')
    (directory / "pool.ini").write_text(
        CONFIGURATION.format(
            server=own_server.directory, port=PORT, directory=directory, patience=getattr(request, "param", 2)
        )
    )
    # PgBouncer refuses to be root, as PostgreSQL does: it becomes whoever owns the server.
    owner = own_server.directory.stat()
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:
        as_user = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
        for path in (directory, *directory.iterdir()):
            os.chown(path, owner.st_uid, owner.st_gid)
    process = subprocess.Popen(
        [str(PGBOUNCER), "-q", str(directory / "pool.ini")], cwd="/", stdin=subprocess.DEVNULL, **as_user
    )
    wait_until((directory / f".s.PGSQL.{PORT}").exists, "PgBouncer listens")
    yield directory
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE_SECONDS)
    shutil.rmtree(directory)


class Installation:
    """Workers and the web, all behind the pooler, on an empty database."""

    def __init__(self, url: str, directory: Path) -> None:
        self.workers = Workers(url, directory)
        self.workers.environment["DATABASE_POOLED"] = "true"
        self.environment = {**self.workers.environment, "API_THROTTLE": "off"}
        self._log = (directory / "web.log").open("wb")
        self._web: subprocess.Popen[bytes] | None = None

    def start_web(self) -> None:
        """Migrate, make a key and serve."""
        manage(self.environment, "migrate", "--verbosity=0")
        self._key = manage(self.environment, "create_api_key", "--name=tests", "--scopes=admin").strip()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._address = f"127.0.0.1:{free.getsockname()[1]}"
        command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "--bind", self._address]
        environment = {**self.environment, "WEB_CONCURRENCY": "1"}
        self._web = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=self._log, stderr=self._log)
        wait_until(self._is_up, "the web answers")

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer; HTTPError for what is no success."""
        request = urllib.request.Request(
            f"http://{self._address}/api/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return json.loads(answer.read())

    def health(self) -> tuple[int, float]:
        """The status of /health, and how many seconds it took."""
        began = time.monotonic()
        try:
            with urllib.request.urlopen(f"http://{self._address}/api/v1/health", timeout=PATIENCE_SECONDS) as answer:
                return answer.status, time.monotonic() - began
        except urllib.error.HTTPError as error:
            return error.code, time.monotonic() - began

    def recovers(self) -> bool:
        """Whether the API answers from the database."""
        with suppress(urllib.error.HTTPError):
            return bool(self.api("GET", "/runs?limit=1")["results"])
        return False

    def _is_up(self) -> bool:
        with suppress(OSError):
            self.api("GET", "/health")
            return True
        return False

    def close(self) -> None:
        """End all of it."""
        self.workers.close()
        if self._web is not None:
            self._web.terminate()
            self._web.wait(PATIENCE_SECONDS)
        self._log.close()


@pytest.fixture
def installation(own_server: PostgresServer, pooler: Path, reach: Reach, tmp_path: Path) -> Iterator[Installation]:
    """Behind the pooler; the test itself looks at the database directly."""
    with psycopg.connect(own_server.url(), autocommit=True) as first:
        first.execute("CREATE DATABASE pooled")
    reach(HOST=str(own_server.directory), PORT="", USER="postgres", PASSWORD="", NAME="pooled")
    running = Installation(f"postgres://postgres@/pooled?{urlencode({'host': pooler, 'port': PORT})}", tmp_path)
    yield running
    running.close()
    connection.close()
    with psycopg.connect(own_server.url(), autocommit=True) as last:
        last.execute("DROP DATABASE pooled WITH (FORCE)")


def assert_each_nominal_time_once(schedules: list[Schedule]) -> None:
    """None doubled, and none left out but by a row that counts it."""
    for schedule in schedules:
        rows = (
            schedule.runs.filter(trigger="schedule")
            .order_by("scheduled_at")
            .values_list("scheduled_at", "missed_ticks")
        )
        expected = None
        for moment, missed in rows:
            assert expected in (None, moment)
            expected = moment + timedelta(seconds=max(1, missed))


def test_everything_works_behind_a_transaction_pooler_and_outlives_its_server(
    installation: Installation, own_server: PostgresServer, target: RecordingTarget
) -> None:
    installation.start_web()
    aim = installation.api("POST", "/targets", {"name": "Aim", "url": target.url("/")})
    timing = {"schedule_type": "interval", "interval_seconds": 1, "overlap_policy": "allow", "catch_up": "all"}
    for number in range(10):
        installation.api("POST", "/schedules", {"name": f"S{number}", "target_id": aim["id"], **timing})
    started = [installation.workers.start(WORKER_LEASE_SECONDS="4") for _ in range(2)]
    target.wait_for(30, seconds=PATIENCE_SECONDS)
    schedule = installation.api("GET", "/schedules?limit=1")["results"][0]
    manual = installation.api("POST", f"/schedules/{schedule['id']}/run")
    wait_until(lambda: Run.objects.filter(id=manual["id"], status="success").exists(), "a manual run ends")
    wait_until(lambda: len({*Attempt.objects.values_list("worker_id", flat=True)}) == 2, "both workers make calls")

    own_server.stop()
    wait_until(lambda: not installation.recovers(), "the API notices that the server is away")
    own_server.start()
    connection.close()
    wait_until(installation.recovers, "the API answers again")
    seen = len(target.calls())
    target.wait_for(seen + 20, seconds=PATIENCE_SECONDS)

    for each in list(Schedule.objects.all()):
        installation.api("POST", f"/schedules/{each.id}/pause")
    wait_until(lambda: not Run.objects.all().active().exists(), "all runs end")
    assert [installation.workers.stop(worker) for worker in started] == [0, 0]
    assert_each_nominal_time_once(list(Schedule.objects.all()))
    assert set(Run.objects.values_list("status", flat=True)) <= {"success", "skipped"}
    assert not Attempt.objects.filter(error_type="worker_lost").exists()
    repeated = {key: count for key, count in Counter(call.key for call in target.calls()).items() if count > 1}
    assert repeated == {}


@pytest.mark.parametrize("pooler", [LONG_SECONDS], indirect=True)
def test_g20_health_does_not_wait_for_the_pooler_while_the_server_is_away(
    installation: Installation, own_server: PostgresServer
) -> None:
    """The pooler holds queries back for `query_wait_timeout`; whoever asks for health needs to hear of it sooner."""
    installation.start_web()
    own_server.stop()
    waits: list[float] = []

    def it_is_told() -> bool:
        status, seconds = installation.health()
        waits.append(seconds)
        return status == 503

    try:
        # An answer may be a second old.
        wait_until(it_is_told, "health says that the database is away")
        assert it_is_told()
    finally:
        own_server.start()
        connection.close()
    assert max(waits) < LONG_SECONDS / 3


def test_without_the_setting_the_pooler_refuses_our_start_up_options(installation: Installation) -> None:
    installation.environment["DATABASE_POOLED"] = "false"
    with pytest.raises(subprocess.CalledProcessError) as failed:
        manage(installation.environment, "migrate", "--verbosity=0")
    assert "unsupported startup parameter" in failed.value.stderr
