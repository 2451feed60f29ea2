"""Children that are kept up, and taken down together. The children signal us themselves, so that nothing waits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler_project import process_group
from scheduler_project.process_group import Child, ProcessGroup

READY = "import os, signal, sys, time; from pathlib import Path; here = Path(sys.argv[1]);"
STOP_US = "os.kill(os.getppid(), signal.SIGTERM);"
STAY = "time.sleep(600)"
NOTE_THE_END = "signal.signal(signal.SIGTERM, lambda *_: ((here / 'order').open('a').write(name), sys.exit()));"
IGNORE_THE_END = "signal.signal(signal.SIGTERM, signal.SIG_IGN);"
Run = Callable[..., int]


@pytest.fixture
def said() -> list[str]:
    """What the group told the user."""
    return []


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Child]:
    """Makes a child that runs some Python code."""

    def make(name: str, *code: str) -> Child:
        return Child(name, [sys.executable, "-c", f"{READY} name = {name!r}; {' '.join(code)}", str(tmp_path)])

    return make


@pytest.fixture
def run(tmp_path: Path, said: list[str]) -> Run:
    """Supervises children and returns the exit code."""

    def supervise(*children: Child, grace_seconds: float = 30) -> int:
        return ProcessGroup(
            children,
            directory=tmp_path,
            environment=os.environ,
            grace_seconds=grace_seconds,
            say=said.append,
            pause_seconds=0.01,
        ).run()

    return supervise


def code_of(child: Child) -> int | None:
    """The exit code of a child that has ended."""
    assert child.process is not None
    return child.process.poll()


def test_a_signal_ends_every_child_in_reverse_order(run: Run, program: Callable[..., Child], tmp_path: Path) -> None:
    web = program("web", NOTE_THE_END, "(here / 'up').touch();", STAY)
    wait_for_web = "while not (here / 'up').exists(): time.sleep(0.01)\n"
    worker = program("worker", NOTE_THE_END, f"exec({wait_for_web!r});", STOP_US, STAY)
    assert run(web, worker) == 0
    assert (tmp_path / "order").read_text() == "workerweb"
    assert (code_of(web), code_of(worker)) == (0, 0)


def test_a_child_that_dies_is_started_again(
    run: Run, program: Callable[..., Child], said: list[str], tmp_path: Path
) -> None:
    child = program("web", "again = (here / 'seen').exists(); (here / 'seen').touch();", "again or sys.exit(3);",
                    STOP_US, STAY)  # fmt: skip
    assert run(child) == 0
    assert said == ["The web process ended (exit code 3); starting it again."]


def test_a_child_that_keeps_dying_takes_everything_down(
    run: Run, program: Callable[..., Child], said: list[str]
) -> None:
    other = program("web", STAY)
    assert run(other, program("worker", "sys.exit(1)")) == 1
    assert said[-1].startswith("The worker process keeps ending")
    assert code_of(other) == -signal.SIGTERM


def test_a_child_that_does_not_end_in_time_is_killed(run: Run, program: Callable[..., Child]) -> None:
    child = program("worker", IGNORE_THE_END, STOP_US, STAY)
    assert run(child, grace_seconds=0.1) == 0
    assert code_of(child) == -signal.SIGKILL


def test_a_second_signal_does_not_wait_for_the_grace(run: Run, program: Callable[..., Child]) -> None:
    signal_again = "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(1.1), os.kill(os.getppid(), signal.SIGINT)));"
    child = program("worker", signal_again, STOP_US, "[time.sleep(1) for _ in range(600)]")
    assert run(child, grace_seconds=600) == 0
    assert code_of(child) == -signal.SIGKILL


def test_signals_that_come_together_count_as_one(
    run: Run, program: Callable[..., Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The child's signal may be late on a loaded machine; what counts here is that it comes within the time.
    monkeypatch.setattr(process_group, "ONE_REQUEST_SECONDS", 600)
    answer = "(os.kill(os.getppid(), signal.SIGTERM), time.sleep(0.5), sys.exit(0))"
    signal_at_once = f"signal.signal(signal.SIGTERM, lambda *_: {answer});"
    child = program("worker", signal_at_once, STOP_US, STAY)
    assert run(child, grace_seconds=600) == 0
    assert code_of(child) == 0


def test_it_leaves_the_signal_handlers_as_they_were(run: Run, program: Callable[..., Child]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    run(program("web", STOP_US, STAY))
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_children_end_when_their_parent_is_killed() -> None:
    # The grandchild holds the pipe's other end: reading to its end is waiting for it to be gone.
    grandchild = [
        sys.executable,
        "-c",
        "import os, signal, time; os.kill(os.getppid(), signal.SIGKILL); time.sleep(600)",
    ]
    code = (
        "import os; from scheduler_project.process_group import *; from pathlib import Path;"
        f"ProcessGroup([Child('web', {grandchild!r})], directory=Path('/'), environment=os.environ,"
        " grace_seconds=600, say=print).run()"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.PIPE, timeout=60)
    assert done.returncode == -signal.SIGKILL
