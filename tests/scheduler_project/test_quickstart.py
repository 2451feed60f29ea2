"""The command behind `make run`: its arguments, its port, its environment."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from scheduler_project.env_file import BASE_DIR


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that something else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@pytest.fixture
def free_port() -> int:
    """A port that nothing listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def quickstart(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command on a database of its own until it ends by itself."""
    return subprocess.run(
        [sys.executable, "manage.py", "quickstart", *arguments],
        cwd=BASE_DIR,
        env={**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path}/jobs.db", **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "80 80", "८०००"])
def test_a_bad_port_is_refused_with_the_remedy(port: str) -> None:
    with pytest.raises(CommandError, match=r"must be a number from 1 to 65535, as in: make run PORT=8001") as refusal:
        call_command("quickstart", f"--port={port}")
    assert str(refusal.value).startswith(f"PORT = {port!r}")


def test_a_port_that_is_taken_is_named_with_the_way_out_before_anything_is_written(
    tmp_path: Path, taken_port: int
) -> None:
    done = quickstart(tmp_path, PORT=str(taken_port))
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(rf"CommandError: Port {taken_port} can't be used \(.*\): .* make run PORT=8001\n", done.stderr)
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_away_is_named_in_one_line(tmp_path: Path, free_port: int) -> None:
    done = quickstart(tmp_path, PORT=str(free_port), DATABASE_URL=f"postgres://u@/n?host={tmp_path}")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("CommandError: The database of DATABASE_URL can't be used: ")
    assert done.stderr.count("\n") == 1
