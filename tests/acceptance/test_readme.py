"""README's walk-through, run as printed against `make run`."""

from __future__ import annotations

import re
import shutil
import subprocess
import time

import pytest

from scheduler_project.env_file import BASE_DIR
from tests.acceptance.conftest import wait_until
from tests.acceptance.test_make_run import MakeRun, service  # noqa: F401 - the fixture

WALK_THROUGH = re.compile(r"^```sh walk-through\n(.*?)^```", re.MULTILINE | re.DOTALL)
needs_tools = pytest.mark.skipif(
    not (shutil.which("bash") and shutil.which("curl")), reason="the walk-through is for people with bash and curl"
)


@needs_tools
@pytest.mark.sqlite_only
def test_every_command_of_the_walk_through_works_as_printed(service: MakeRun) -> None:  # noqa: F811
    service.start()
    wait_until(lambda: bool(service.runs(status="success")), f"no run succeeded:\n{service.output()}")
    # Each web process gives an answer about health for a second, and may have it from before the worker registered.
    time.sleep(1)
    (commands,) = WALK_THROUGH.findall((BASE_DIR / "README.md").read_text(encoding="utf-8"))
    script = commands.replace("127.0.0.1:8000", f"127.0.0.1:{service.port}")
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "KEY": service.api_key},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    assert '"status":"healthy"' in result.stdout
    assert '"status":"success"' in result.stdout
    assert "problem" not in result.stdout
    assert "api_scheduler_runs_total" in result.stdout
