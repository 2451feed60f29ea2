"""Whatever a target does, an attempt ends within its time-out and one second (guarantee G13)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from threading import Event, Thread
from typing import Any

import pytest

from runs.outcome import ErrorType, Outcome
from targets.request_spec import RequestSpec
from tests.fair_clock import FairClock
from tests.hostile_sockets import drip_tls, full_backlog, never_accepting, speaking
from tests.http_target import RecordingTarget
from tests.worker.calls import LOOPBACK, Names, spec
from worker.executor import Executor
from worker.resolver import AddressInfo

LIMIT = 0.4
# What guarantee G13 allows, in seconds of a clock that stands still while the machine does.
SLACK_SECONDS = 1
# By the same clock: a call that has not ended by then is not going to.
HOPELESS_SECONDS = 5


@pytest.fixture(scope="module")
def clock() -> Iterator[FairClock]:
    """The time that the machine gives these tests."""
    with FairClock() as running:
        yield running


Late = Callable[[Executor, RequestSpec], Outcome]


@pytest.fixture
def late(clock: FairClock) -> Late:
    """Execute, and check that it ends in time with a time-out."""

    def execute(executor: Executor, request: RequestSpec) -> Outcome:
        outcomes: list[Outcome] = []
        call = Thread(target=lambda: outcomes.append(executor.execute(request)), daemon=True)
        began, fairly = time.monotonic(), clock()
        call.start()
        while call.is_alive() and clock() - fairly < HOPELESS_SECONDS:
            call.join(0.1)
        assert outcomes, "the call did not end at all"
        (outcome,) = outcomes
        took, took_fairly = time.monotonic() - began, clock() - fairly
        limit = min(request.timeout_seconds, request.connect_timeout_seconds)
        assert outcome.error_type is ErrorType.TIMEOUT, outcome
        assert took >= limit * 0.9
        assert took_fairly <= limit + SLACK_SECONDS, f"{took:.2f} s by the wall clock"
        return outcome

    return execute


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/silent", "did not answer"),
        ("/drip-status?every=0.05", "did not answer"),
        ("/drip-headers?every=0.05", "did not answer"),
        ("/continues?every=0.05", "did not answer"),
        ("/drip?every=0.05", "did not finish its response"),
        ("/drip-chunks?every=0.05", "did not finish its response"),
        ("/slow?seconds=30", "did not answer"),
    ],
)
def test_a_slow_answer_ends_in_a_timeout(
    late: Late, executor: Executor, target: RecordingTarget, path: str, words: str
) -> None:
    outcome = late(executor, spec(target.url(path), timeout_seconds=LIMIT))
    assert outcome.error_message == f"127.0.0.1 {words} within {LIMIT} s (timeout_seconds)."


def test_what_came_before_the_timeout_is_kept(late: Late, executor: Executor, target: RecordingTarget) -> None:
    outcome = late(executor, spec(target.url("/drip?every=0.05"), timeout_seconds=LIMIT))
    assert outcome.status_code == 200
    assert set(outcome.response_body) == {"d"}
    assert outcome.response_truncated


@pytest.mark.parametrize(
    ("listener", "words"),
    [(full_backlog, "did not accept a connection"), (never_accepting, "did not answer")],
)
def test_a_server_that_does_nothing_ends_in_a_timeout(
    late: Late, executor: Executor, listener: Callable[[], AbstractContextManager[int]], words: str
) -> None:
    with listener() as port:
        outcome = late(executor, spec(f"http://127.0.0.1:{port}/", timeout_seconds=LIMIT))
    assert outcome.error_message == f"127.0.0.1 {words} within {LIMIT} s (timeout_seconds)."


def test_a_request_that_is_not_taken_in_ends_in_a_timeout(late: Late, executor: Executor) -> None:
    with never_accepting() as port:
        body = bytes(20_000_000)
        outcome = late(executor, spec(f"http://127.0.0.1:{port}/", method="POST", body=body, timeout_seconds=LIMIT))
    assert "did not take in the request" in outcome.error_message


@pytest.mark.parametrize("listener", [never_accepting, lambda: speaking(drip_tls)])
def test_a_tls_handshake_that_stalls_or_drips_ends_in_a_timeout(
    late: Late, executor: Executor, listener: Callable[[], AbstractContextManager[int]]
) -> None:
    with listener() as port:
        outcome = late(executor, spec(f"https://127.0.0.1:{port}/", timeout_seconds=LIMIT))
    assert outcome.error_message == f"127.0.0.1 did not finish the TLS handshake within {LIMIT} s (timeout_seconds)."


@pytest.mark.parametrize(
    ("scheme", "listener"),
    [("http", full_backlog), ("https", never_accepting), ("https", lambda: speaking(drip_tls))],
)
def test_connecting_has_a_limit_of_its_own(
    late: Late, executor: Executor, scheme: str, listener: Callable[[], AbstractContextManager[int]]
) -> None:
    with listener() as port:
        outcome = late(executor, spec(f"{scheme}://127.0.0.1:{port}/", connect_timeout_seconds=LIMIT))
    assert outcome.error_message.endswith(f"within {LIMIT} s (connect_timeout_seconds).")


def test_the_limit_for_connecting_ends_with_the_connection(executor: Executor, target: RecordingTarget) -> None:
    # Loopback connects within 2 s even where the machine stands still for a moment; the answer takes longer.
    outcome = executor.execute(spec(target.url("/slow?seconds=2.5"), connect_timeout_seconds=2, timeout_seconds=60))
    assert outcome.error_type is ErrorType.NONE


def test_redirects_share_one_deadline(late: Late, executor: Executor, target: RecordingTarget) -> None:
    request = spec(target.url("/redirect?to=/silent"), follow_redirects=True, timeout_seconds=LIMIT)
    late(executor, request)
    assert target.calls("/silent")


def test_a_silent_address_leaves_time_for_the_next_one(target: RecordingTarget) -> None:
    executor = Executor(LOOPBACK, 1, lookup=Names({"two.example": [["127.0.0.2", "127.0.0.1"]]}))
    with full_backlog("127.0.0.2", target.port):
        outcome = executor.execute(spec(target.url("/x", host="two.example"), timeout_seconds=1))
    executor.close()
    assert (outcome.error_type, outcome.remote_ip) == (ErrorType.NONE, "127.0.0.1")


def test_the_handshake_has_all_the_time_that_connecting_left_over(late: Late) -> None:
    # Connecting to the first of two addresses may take half of the time only; what follows may take the rest.
    executor = Executor(LOOPBACK, 1, lookup=Names({"two.example": [["127.0.0.1", "127.0.0.2"]]}))
    with never_accepting() as port:
        late(executor, spec(f"https://two.example:{port}/", timeout_seconds=LIMIT))
    executor.close()


class StuckLookup:
    """A resolver that answers when the test is over."""

    def __init__(self) -> None:
        self.over = Event()

    def __call__(self, host: str, port: int) -> Sequence[AddressInfo]:
        self.over.wait()
        return []


@pytest.mark.parametrize("setting", ["timeout_seconds", "connect_timeout_seconds"])
def test_a_lookup_that_hangs_ends_in_a_timeout(late: Late, setting: str) -> None:
    lookup = StuckLookup()
    executor = Executor(LOOPBACK, 2, lookup=lookup)
    changes: dict[str, Any] = {setting: LIMIT}
    outcome = late(executor, spec("http://stuck.example/", **changes))
    assert outcome.error_message == f"The look-up of stuck.example was not finished within {LIMIT} s ({setting})."
    lookup.over.set()
    executor.close()


def test_a_flood_of_interim_answers_is_cut_off(executor: Executor, target: RecordingTarget) -> None:
    outcome = executor.execute(spec(target.url("/continues?every=0")))
    assert outcome.error_type is ErrorType.BAD_RESPONSE


def test_endless_trailers_are_cut_off(executor: Executor, target: RecordingTarget) -> None:
    assert executor.execute(spec(target.url("/trailers"))).error_type is ErrorType.BAD_RESPONSE


def test_endless_headers_are_cut_off(executor: Executor, target: RecordingTarget) -> None:
    outcome = executor.execute(spec(target.url("/endless-headers")))
    assert outcome.error_type is ErrorType.BAD_RESPONSE
    assert outcome.error_message == "127.0.0.1 sent too many headers, or contradictory ones."
