"""The parent of several processes, with programs that take no time; tests/acceptance has real workers."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.workers import SOON
from worker.supervisor import Supervisor, watch_parent

SUCCEED, FAIL = ["true"], ["false"]


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """The supervisor takes the signals of its process; pytest gets its own back."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)


def signal_when(path: Path, *numbers: signal.Signals) -> threading.Thread:
    """Send this process the signals as soon as the file exists."""

    def send() -> None:
        pause = threading.Event()
        while not path.exists():
            pause.wait(0.01)
        for number in numbers:
            os.kill(os.getpid(), number)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("commands", "code"), [([SUCCEED, SUCCEED], 0), ([SUCCEED, FAIL], 1), ([FAIL], 1), ([["sh", "-c", "kill $$"]], 1)]
)
def test_processes_that_end_on_their_own_decide_the_exit_code(commands: list[list[str]], code: int) -> None:
    assert Supervisor(commands, restart=False).run() == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_forwarded_and_all_are_waited_for(tmp_path: Path, number: signal.Signals) -> None:
    ready, stopped = tmp_path / "ready", tmp_path / "stopped"
    waiting = ["sh", "-c", f"trap 'touch {stopped}; exit 0' TERM; touch {ready}; while true; do sleep 0.01; done"]
    thread = signal_when(ready, number)

    assert Supervisor([waiting], restart=True).run() == 0

    thread.join()
    assert stopped.exists()


@pytest.mark.parametrize("end", ["exit 1", "kill -KILL $$"])
def test_a_process_that_does_not_stop_well_is_a_failure(tmp_path: Path, end: str) -> None:
    ready = tmp_path / "ready"
    stops_badly = ["sh", "-c", f"trap '{end}' TERM; touch {ready}; while true; do sleep 0.01; done"]
    thread = signal_when(ready, signal.SIGTERM)
    assert Supervisor([stops_badly], restart=True).run() == 1
    thread.join()


def test_a_process_that_a_stop_meets_while_it_starts_is_no_failure(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    thread = signal_when(ready, signal.SIGTERM)
    # It dies of the signal, as a worker does that has not come to handle it yet.
    assert Supervisor([["sh", "-c", f"touch {ready}; exec sleep 60"]], restart=True).run() == 0
    thread.join()


def test_a_process_that_died_is_started_again(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    dies_once = ["sh", "-c", f"test -e {first} && touch {second} && exec sleep 60; touch {first}; exit 7"]
    thread = signal_when(second, signal.SIGTERM)
    Supervisor([dies_once], restart=True).run()
    thread.join()
    assert second.exists()


def test_a_start_that_comes_due_between_two_looks_is_not_slept_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    dies_once = ["sh", "-c", f"test -e {first} && touch {second} && exec sleep 60; touch {first}; exit 7"]
    start_due = Supervisor._start_due
    looks: list[str] = []

    def come_due_right_after(supervisor: Supervisor) -> None:
        child = supervisor._children[0]
        if child.failures and not looks:
            looks.append("too early")
            child.start_at = 0.0
        else:
            start_due(supervisor)

    monkeypatch.setattr(Supervisor, "_start_due", come_due_right_after)
    thread = signal_when(second, signal.SIGTERM)
    Supervisor([dies_once], restart=True).run()
    thread.join()
    assert looks


def test_a_vanished_parent_is_noticed() -> None:
    gone = threading.Event()
    watch_parent(os.getppid() + 1, gone.set)
    assert gone.wait(SOON)
