"""Keeping access tokens: how long, how many, and one request at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from runs.outcome import ErrorType
from targets.auth import ClientCredentials
from tests.worker.workers import SOON, Monotonic
from worker.call import Call, Failure, Withheld
from worker.executor import always
from worker.token_endpoint import AccessToken
from worker.tokens import MOST_KEPT, Tokens
from worker.watchdog import Watchdog

CREDENTIALS = ClientCredentials("https://login.example/token", "me", "s3cret")


def a_call(seconds: float = SOON) -> Call:
    return Call(seconds, seconds, verify_tls=True, may_send=always, watchdog=Watchdog())


class Endpoint:
    """Gives out numbered tokens; each request waits until `open` and then does as `answer` says."""

    def __init__(self, seconds: float = 3600) -> None:
        self.asked = 0
        self.seconds = seconds
        self.begun = threading.Semaphore(0)
        self.open = threading.Event()
        self.open.set()
        self.answer: Callable[[], None] = lambda: None

    def __call__(self, credentials: ClientCredentials, call: Call) -> AccessToken:
        self.asked += 1
        number = self.asked
        self.begun.release()
        assert self.open.wait(SOON)
        self.answer()
        return AccessToken(f"token-{number}", self.seconds)


def test_a_token_is_kept_until_a_minute_before_its_end() -> None:
    endpoint, clock = Endpoint(300), Monotonic()
    tokens = Tokens(endpoint, monotonic=clock)
    assert tokens.get(CREDENTIALS, a_call()) == "token-1"
    clock.pass_seconds(239.9)
    assert tokens.get(CREDENTIALS, a_call()) == "token-1"
    clock.pass_seconds(0.1)
    assert tokens.get(CREDENTIALS, a_call()) == "token-2"


def test_a_refused_token_is_replaced_by_one_request_whoever_else_was_refused() -> None:
    endpoint = Endpoint()
    tokens = Tokens(endpoint)
    first = tokens.get(CREDENTIALS, a_call())
    assert tokens.get(CREDENTIALS, a_call(), refused=first) == "token-2"
    assert tokens.get(CREDENTIALS, a_call(), refused=first) == "token-2"
    assert endpoint.asked == 2


def test_only_the_tokens_used_last_are_kept() -> None:
    endpoint = Endpoint()
    tokens = Tokens(endpoint)
    for number in range(MOST_KEPT + 1):
        tokens.get(ClientCredentials("https://login.example/", str(number), "s"), a_call())
    tokens.get(ClientCredentials("https://login.example/", "1", "s"), a_call())
    assert endpoint.asked == MOST_KEPT + 1
    tokens.get(ClientCredentials("https://login.example/", "0", "s"), a_call())
    assert endpoint.asked == MOST_KEPT + 2


def waiting(pool: ThreadPoolExecutor, tokens: Tokens, endpoint: Endpoint, follower: Call) -> list[Callable[[], str]]:
    """A call that asks and one that waits for it; their results."""
    endpoint.open.clear()
    leads = pool.submit(tokens.get, CREDENTIALS, a_call())
    assert endpoint.begun.acquire(timeout=SOON)
    follows = pool.submit(tokens.get, CREDENTIALS, follower)
    return [lambda: leads.result(SOON), lambda: follows.result(SOON)]


def test_who_waits_gets_what_the_first_one_got() -> None:
    endpoint = Endpoint()
    with ThreadPoolExecutor(2) as pool:
        results = waiting(pool, Tokens(endpoint), endpoint, a_call())
        endpoint.open.set()
        assert [result() for result in results] == ["token-1", "token-1"]


def test_who_waits_longer_than_its_own_time_is_late() -> None:
    endpoint = Endpoint()
    with ThreadPoolExecutor(2) as pool:
        leads, follows = waiting(pool, Tokens(endpoint), endpoint, a_call(0.05))
        with pytest.raises(Failure, match=r"had not answered another call within 0\.05 s") as late:
            follows()
        assert late.value.error_type is ErrorType.TIMEOUT
        endpoint.open.set()
        assert leads() == "token-1"


def fails(error: Exception) -> Callable[[], None]:
    def answer() -> None:
        raise error

    return answer


def test_a_failure_is_that_of_everybody_who_waited() -> None:
    endpoint = Endpoint()
    endpoint.answer = fails(Failure(ErrorType.CLIENT_ERROR, "no"))
    tokens = Tokens(endpoint)
    flight_seen = threading.Event()
    original = tokens._follow

    def follow(*args: Any) -> Any:
        flight_seen.set()
        return original(*args)

    tokens._follow = follow  # type: ignore[assignment,method-assign]
    with ThreadPoolExecutor(2) as pool:
        results = waiting(pool, tokens, endpoint, a_call())
        assert flight_seen.wait(SOON)
        endpoint.open.set()
        for result in results:
            with pytest.raises(Failure, match="no"):
                result()
    assert endpoint.asked == 1


@pytest.mark.parametrize("error", [Failure(ErrorType.TIMEOUT, "late"), Withheld()])
def test_what_concerns_the_first_one_alone_leaves_the_next_to_ask(error: Exception) -> None:
    endpoint = Endpoint()
    first = [True]

    def answer() -> None:
        if first.pop() if first else False:
            raise error

    endpoint.answer = answer
    tokens = Tokens(endpoint)
    with ThreadPoolExecutor(2) as pool:
        leads, follows = waiting(pool, tokens, endpoint, a_call())
        endpoint.open.set()
        with pytest.raises(type(error)):
            leads()
        assert follows() == "token-2"


def test_a_failure_is_not_kept() -> None:
    endpoint = Endpoint()
    endpoint.answer = fails(Failure(ErrorType.SERVER_ERROR, "no"))
    tokens = Tokens(endpoint)
    with pytest.raises(Failure):
        tokens.get(CREDENTIALS, a_call())
    endpoint.answer = lambda: None
    assert tokens.get(CREDENTIALS, a_call()) == "token-2"
