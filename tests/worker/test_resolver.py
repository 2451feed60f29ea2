from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.worker.calls import Names
from worker.resolver import AddressInfo, Endpoint, Resolver, UnknownHost


def resolver_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("resolver-")}


def test_it_gives_every_address_once_in_order() -> None:
    resolver = Resolver(1, Names({"a.example": [["192.0.2.2", "192.0.2.1", "192.0.2.2"]]}))
    endpoints = resolver.resolve("a.example", 80, seconds=5)
    assert [endpoint.ip for endpoint in endpoints] == ["192.0.2.2", "192.0.2.1"]
    assert endpoints[0] == Endpoint(socket.AF_INET, ("192.0.2.2", 80))
    resolver.close()


@pytest.mark.parametrize(
    ("literal", "endpoint"),
    [
        ("192.0.2.1", Endpoint(socket.AF_INET, ("192.0.2.1", 8080))),
        ("2001:db8::1", Endpoint(socket.AF_INET6, ("2001:db8::1", 8080, 0, 0))),
    ],
)
def test_an_address_needs_no_lookup(literal: str, endpoint: Endpoint) -> None:
    names = Names({})
    assert Resolver(1, names).resolve(literal, 8080, seconds=0) == [endpoint]
    assert names.asked == []


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(UnknownHost) as caught:
        Resolver(1, Names({})).resolve("b.example", 80, seconds=5)
    assert not caught.value.temporary


def test_it_asks_the_system_unless_told_otherwise() -> None:
    assert {endpoint.ip for endpoint in Resolver(1).resolve("localhost", 80, seconds=5)} <= {"127.0.0.1", "::1"}


class Slow:
    """A resolver whose answers wait for the test."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.asked: list[str] = []
        self.under_way = threading.Semaphore(0)

    def __call__(self, host: str, port: int) -> Sequence[AddressInfo]:
        self.asked.append(host)
        self.under_way.release()
        self.may_answer.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port))]


def test_a_caller_stops_waiting_in_time() -> None:
    slow = Slow()
    resolver = Resolver(1, slow)
    with pytest.raises(TimeoutError):
        resolver.resolve("slow.example", 80, seconds=0.05)
    slow.may_answer.set()
    resolver.close()


def test_a_stuck_lookup_does_not_hold_up_the_next_one() -> None:
    slow = Slow()
    resolver = Resolver(
        2, lambda host, port: slow(host, port) if host == "slow.example" else Names({host: ["192.0.2.9"]})(host, port)
    )
    with pytest.raises(TimeoutError):
        resolver.resolve("slow.example", 80, seconds=0.05)
    assert resolver.resolve("fast.example", 80, seconds=5)[0].ip == "192.0.2.9"
    slow.may_answer.set()
    resolver.close()


def test_no_more_threads_than_allowed_look_up_and_what_nobody_waits_for_is_dropped() -> None:
    slow = Slow()
    resolver = Resolver(2, slow)
    before = resolver_threads()
    with ThreadPoolExecutor(2) as callers:
        answers = [callers.submit(resolver.resolve, name, 80, seconds=30) for name in ("a.example", "b.example")]
        for _ in answers:
            assert slow.under_way.acquire(timeout=5)
        with pytest.raises(TimeoutError):
            resolver.resolve("dropped.example", 80, seconds=0.02)
        assert len(resolver_threads() - before) == 2
        slow.may_answer.set()
        assert all(answer.result() for answer in answers)
    assert resolver.resolve("late.example", 80, seconds=5)
    assert sorted(slow.asked) == ["a.example", "b.example", "late.example"]
    resolver.close()


def test_a_site_whose_names_hang_leaves_threads_for_others() -> None:
    slow = Slow()
    resolver = Resolver(
        8, lambda host, port: slow(host, port) if "hang" in host else Names({host: ["192.0.2.9"]})(host, port)
    )
    with ThreadPoolExecutor(20) as callers:
        hanging = [callers.submit(resolver.resolve, f"n{number}.hang.example", 80, seconds=60) for number in range(20)]
        for _ in range(2):
            assert slow.under_way.acquire(timeout=5)
        # A quarter of the threads is theirs, so this name need not wait for any of them.
        assert resolver.resolve("fast.example", 80, seconds=30)[0].ip == "192.0.2.9"
        assert len(slow.asked) == 2
        slow.may_answer.set()
        assert all(answer.result() for answer in hanging)
    assert len(slow.asked) == 20
    resolver.close()


def test_look_ups_that_were_given_up_count_towards_the_share_of_their_site() -> None:
    slow = Slow()
    resolver = Resolver(
        8, lambda host, port: slow(host, port) if "hang" in host else Names({host: ["192.0.2.9"]})(host, port)
    )
    for number in range(20):
        with pytest.raises(TimeoutError):
            resolver.resolve(f"n{number}.hang.example", 80, seconds=0.02)
    assert slow.asked == ["n0.hang.example", "n1.hang.example"]
    # What nobody waits for any more must not pile up.
    assert not resolver._jobs
    assert resolver.resolve("fast.example", 80, seconds=30)[0].ip == "192.0.2.9"
    slow.may_answer.set()
    assert resolver.resolve("again.hang.example", 80, seconds=30)
    assert slow.asked[2:] == ["again.hang.example"]
    resolver.close()


def test_threads_serve_one_caller_after_the_other() -> None:
    before = resolver_threads()
    resolver = Resolver(200, Names({"a.example": ["192.0.2.1"]}))
    for _ in range(200):
        resolver.resolve("a.example", 80, seconds=5)
    assert 1 <= len(resolver_threads() - before) < 100
    resolver.close()


def test_its_threads_are_daemons_that_end_when_it_is_closed() -> None:
    before = resolver_threads()
    resolver = Resolver(2, Names({"a.example": ["192.0.2.1"]}))
    resolver.resolve("a.example", 80, seconds=5)
    ours = resolver_threads() - before
    assert all(thread.daemon for thread in ours)
    resolver.close()
    for thread in ours:
        thread.join(5)
        assert not thread.is_alive()
