"""gunicorn with several web processes, as `make run` and the image start it."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from access.keys import create_key
from schedules.clock import database_now
from tests.acceptance.conftest import CHECKOUT, PATIENCE_SECONDS, wait_until
from tests.acceptance.test_make_run import free_port

pytestmark = pytest.mark.django_db(transaction=True)


def ask(url: str, key: str) -> tuple[int, Message]:
    """Status and headers of one GET over a connection of its own."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
            return response.status, response.headers
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.headers


@pytest.fixture
def web(database_url: str, tmp_path: Path) -> Iterator[str]:
    """The address of four web processes that let a key ask five times an hour."""
    port = free_port()
    with (tmp_path / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "4", "--threads", "1"],
            cwd=CHECKOUT,
            env={
                **os.environ,
                "DATABASE_URL": database_url,
                "API_SCHEDULER_ENV_FILE": os.devnull,
                "API_THROTTLE": "5/hour",
                "TMPDIR": str(tmp_path),
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: _answers(f"http://127.0.0.1:{port}/api/v1/health"), "the web answers")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def _answers(url: str) -> bool:
    try:
        return ask(url, "")[0] > 0
    except OSError:
        return False


def test_a_key_has_one_allowance_whichever_web_process_answers(web: str) -> None:
    _, key = create_key(name="busy", scopes=["read"], expires_at=None, now=database_now())
    answers = [ask(f"{web}/api/v1/targets", key) for _ in range(12)]
    assert [status for status, _ in answers] == [200] * 5 + [429] * 7
    assert 1 <= int(answers[-1][1]["Retry-After"]) <= 3600
