from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker.watchdog import Watchdog

SOON = 0.1


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    dog = Watchdog()
    yield dog
    dog.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    with ours, theirs:
        yield ours, theirs


Pair = tuple[socket.socket, socket.socket]


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def watchdog_threads() -> int:
    return sum(thread.name == "watchdog" for thread in threading.enumerate())


def test_a_socket_is_shut_down_at_its_deadline(watchdog: Watchdog, pair: Pair) -> None:
    began = time.monotonic()
    watch = watchdog.watch(pair[0], began + SOON)
    assert pair[0].recv(1) == b""
    assert time.monotonic() - began >= SOON
    assert watchdog.release(watch) is True


def test_a_deadline_that_has_passed_ends_the_socket_at_once(watchdog: Watchdog, pair: Pair) -> None:
    watch = watchdog.watch(pair[0], time.monotonic() - 1)
    assert pair[0].recv(1) == b""
    assert watchdog.release(watch) is True


def test_a_released_socket_lives_on(watchdog: Watchdog, pair: Pair) -> None:
    # Far enough for the release to come first on a machine that stands still for a moment.
    deadline = time.monotonic() + 2
    watch = watchdog.watch(pair[0], deadline)
    assert watchdog.release(watch) is False
    other, theirs = socket.socketpair()
    other.settimeout(20)
    with other, theirs:
        later = watchdog.watch(other, deadline + SOON)
        assert other.recv(1) == b""
        watchdog.release(later)
    pair[1].send(b"x")
    assert pair[0].recv(1) == b"x"


def test_an_earlier_deadline_that_comes_later_is_met(watchdog: Watchdog, pair: Pair) -> None:
    far = watchdog.watch(pair[1], time.monotonic() + 60)
    for _ in range(2):
        # When the first one has fired, the thread sleeps until the far deadline.
        ours, theirs = socket.socketpair()
        ours.settimeout(5)
        with ours, theirs:
            near = watchdog.watch(ours, time.monotonic())
            assert ours.recv(1) == b""
            assert watchdog.release(near) is True
    assert watchdog.release(far) is False


def test_a_socket_that_the_caller_has_closed_is_no_trouble(watchdog: Watchdog) -> None:
    ours, theirs = socket.socketpair()
    watch = watchdog.watch(ours, time.monotonic() + SOON)
    ours.close()
    # Only the watchdog's duplicate keeps the other side waiting.
    theirs.settimeout(5)
    assert theirs.recv(1) == b""
    assert watchdog.release(watch) is True
    theirs.close()


def test_it_keeps_one_thread_and_no_descriptor(watchdog: Watchdog, pair: Pair) -> None:
    watchdog.release(watchdog.watch(pair[0], time.monotonic() + 60))
    # Other tests' watchdogs may not have ended yet: only what is added counts.
    before, threads = open_descriptors(), watchdog_threads()
    for _ in range(100):
        watchdog.release(watchdog.watch(pair[0], time.monotonic() + 60))
    assert open_descriptors() == before
    assert watchdog_threads() <= threads


def test_a_closed_watchdog_still_watches_what_it_has_and_then_ends(pair: Pair) -> None:
    others = set(threading.enumerate())
    watchdog = Watchdog()
    watch = watchdog.watch(pair[0], time.monotonic() + SOON)
    (thread,) = [thread for thread in set(threading.enumerate()) - others if thread.name == "watchdog"]
    watchdog.close()
    assert pair[0].recv(1) == b""
    assert watchdog.release(watch) is True
    thread.join(5)
    assert not thread.is_alive()
