"""Connections between calls: reused where that is safe, and never a request sent twice or a descriptor lost."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from runs.outcome import ErrorType
from tests.fair_clock import FairClock
from tests.hostile_sockets import speaking
from tests.http_target import RecordingTarget
from tests.worker.calls import LOOPBACK, spec
from worker.executor import Executor

CALLER = "caller"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def fresh() -> Iterator[Executor]:
    """An executor with no connections yet."""
    executor = Executor(LOOPBACK, 4)
    yield executor
    executor.close()


def connections(target: RecordingTarget) -> int:
    """How many connections the calls came by."""
    return len({call.connection for call in target.calls()})


@pytest.mark.parametrize("path", ["/x", "/chunked", "/status/204", "/status/404", "/gzip", "/big?bytes=0"])
def test_a_connection_is_used_again_after_a_complete_response(
    fresh: Executor, target: RecordingTarget, path: str
) -> None:
    for _ in range(5):
        fresh.execute(spec(target.url(path)))
    assert len(target.calls()) == 5
    assert connections(target) == 1


def test_a_call_over_a_kept_connection_has_no_time_for_connecting(fresh: Executor, target: RecordingTarget) -> None:
    fresh.execute(spec(target.url("/x")))
    outcome = fresh.execute(spec(target.url("/x")))
    assert (outcome.timings.dns_ms, outcome.timings.connect_ms) == (None, None)
    assert outcome.remote_ip == "127.0.0.1"


@pytest.mark.parametrize("path", ["/big?bytes=200000", "/redirect?bytes=10", "/status/302", "/hang-up"])
def test_a_connection_is_not_used_again_after_anything_else(
    fresh: Executor, target: RecordingTarget, path: str
) -> None:
    for _ in range(3):
        fresh.execute(spec(target.url(path)))
    assert connections(target) == 3


def test_a_connection_with_something_left_to_read_is_not_used_again(fresh: Executor) -> None:
    served: list[bytes] = []

    def chatter(connection: socket.socket, stopping: Event) -> None:
        served.append(connection.recv(10_000))
        # More than a reader's buffer holds, so that some of it is still in the socket when the response is over.
        connection.sendall(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"f" * 100_000)
        stopping.wait(10)

    with speaking(chatter) as port:
        bodies = [fresh.execute(spec(f"http://127.0.0.1:{port}/")).response_body for _ in range(2)]
    assert bodies == ["ok", "ok"]
    assert len(served) == 2


def test_a_connection_that_the_target_has_closed_is_not_used_again(fresh: Executor) -> None:
    closed = threading.Semaphore(0)

    def once(connection: socket.socket, _: Event) -> None:
        connection.recv(10_000)
        connection.sendall(OK)
        connection.close()
        closed.release()

    with speaking(once) as port:
        for _ in range(3):
            assert fresh.execute(spec(f"http://127.0.0.1:{port}/")).error_type is ErrorType.NONE
            assert closed.acquire(timeout=5)


def test_a_request_that_dies_on_a_kept_connection_is_not_sent_again(fresh: Executor) -> None:
    seen: list[bytes] = []

    def die_at_the_second(connection: socket.socket, _: Event) -> None:
        seen.append(connection.recv(10_000))
        connection.sendall(OK)
        seen.append(connection.recv(10_000))

    with speaking(die_at_the_second) as port:
        first = fresh.execute(spec(f"http://127.0.0.1:{port}/"))
        second = fresh.execute(spec(f"http://127.0.0.1:{port}/", method="POST", body=b"pay"))
    assert (first.error_type, second.error_type) == (ErrorType.NONE, ErrorType.CONNECTION)
    assert len(seen) == 2


def test_the_deadline_of_one_call_does_not_end_the_next_one(fresh: Executor, target: RecordingTarget) -> None:
    # On a machine that halts for a moment the first may be late itself.
    while fresh.execute(spec(target.url("/x"), timeout_seconds=0.2)).error_type is ErrorType.TIMEOUT:
        continue
    outcome = fresh.execute(spec(target.url("/slow?seconds=0.4")))
    assert outcome.error_type is ErrorType.NONE
    first, second = target.calls()[-2:]
    assert second.connection == first.connection


def test_a_withheld_call_leaves_no_connection_behind(fresh: Executor, target: RecordingTarget) -> None:
    fresh.execute(spec(target.url("/x")))
    assert fresh.execute(spec(target.url("/x")), may_send=lambda: False).withheld
    assert fresh.execute(spec(target.url("/x"))).error_type is ErrorType.NONE
    assert connections(target) == 2


@contextmanager
def target_process() -> Iterator[str]:
    """A target in a process of its own, so that descriptors and threads here are the executor's; its URL."""
    command = [sys.executable, "-m", "tests.http_target"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def descriptors() -> Counter[str]:
    """The open descriptors by kind."""
    kinds: Counter[str] = Counter()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            kinds[str(entry.readlink()).partition(":")[0]] += 1
        except OSError:
            # Closed since it was listed: the one that lists.
            continue
    return kinds


def eventually(holds: Callable[[], bool], seconds: float = 5) -> bool:
    """Whether it comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.01)
    return holds()


def threads_but_callers() -> set[threading.Thread]:
    """Those that run now; the test's own may start at any time."""
    return {thread for thread in threading.enumerate() if not thread.name.startswith(CALLER)}


def test_two_hundred_hostile_calls_leave_no_thread_and_no_descriptor() -> None:
    paths = ["/silent", "/drip?every=0.01", "/drip-chunks?every=0.01", "/drip-headers?every=0.01", "/endless", "/big"]
    paths += ["/hang-up", "/endless-headers", "/continues?every=0", "/gzip-bomb?megabytes=1", "/loop", "/status/503"]
    paths += ["/tiny-chunks", "/trailers"]
    executor = Executor(LOOPBACK, 16)
    with FairClock() as clock, target_process() as base, ThreadPoolExecutor(16, CALLER) as threads:

        def call(number: int) -> float:
            url = base + paths[number % len(paths)]
            began = clock()
            executor.execute(spec(url, timeout_seconds=0.15, follow_redirects=True))
            return clock() - began

        # The first calls start the threads that stay.
        list(threads.map(call, range(len(paths) * 2)))
        sockets, others = descriptors()["socket"], threads_but_callers()
        took = list(threads.map(call, range(200)))
        # One second by guarantee G13. Without the deadline most would never end.
        assert max(took) <= 0.15 + 1
        # Idle connections are bounded by the number of threads; nothing else may have come.
        assert eventually(lambda: descriptors()["socket"] <= sockets + 16)
        assert eventually(lambda: threads_but_callers() <= others), threads_but_callers() - others
        executor.close()
        assert eventually(lambda: descriptors()["socket"] <= sockets)
