"""The judge at the door: every address that a name can lead to, as a connection would meet it (guarantee D1)."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import pytest

from runs.outcome import ErrorType
from targets.egress import EgressPolicy
from tests.targets.test_egress import CLOSED, OPEN
from tests.worker.calls import LOOPBACK, Names, spec
from worker.call import Call, Failure
from worker.dial import Dialer
from worker.executor import Executor, always
from worker.resolver import AddressInfo, Resolver
from worker.watchdog import Watchdog


def infos(*ips: str, canonical: str = "") -> list[AddressInfo]:
    """What getaddrinfo says."""
    return [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, canonical, (ip, 80, 0, 0))
        if ":" in ip
        else (socket.AF_INET, socket.SOCK_STREAM, 6, canonical, (ip, 80))
        for ip in ips
    ]


def allowed(*ips: str, policy: EgressPolicy | None = None) -> list[str]:
    """Where a call for a name with these addresses may go."""
    resolver = Resolver(1, lambda host, port: infos(*ips))
    call = Call(5, 5, True, always, Watchdog())
    call.begin_hop("api.example")
    try:
        return [each.ip for each in Dialer(policy or EgressPolicy(), resolver, {}).allowed(call, "api.example", 80)]
    finally:
        resolver.close()


def test_the_tables_are_as_long_as_they_should_be() -> None:
    assert len(CLOSED) + len(OPEN) >= 90


@pytest.mark.parametrize(("ip", "kind"), CLOSED)
def test_a_name_that_leads_to_a_closed_address_is_blocked(ip: str, kind: str) -> None:
    with pytest.raises(Failure, match=kind) as caught:
        allowed(ip)
    assert caught.value.error_type is ErrorType.BLOCKED


@pytest.mark.parametrize("ip", OPEN)
def test_a_name_that_leads_just_outside_may_be_called(ip: str) -> None:
    assert allowed(ip) == [ip]


@pytest.mark.parametrize(
    ("ips", "public"),
    [
        (("10.0.0.1", "8.8.8.8"), ["8.8.8.8"]),
        (("8.8.8.8", "10.0.0.1", "::1", "2606:4700::1111"), ["8.8.8.8", "2606:4700::1111"]),
        (("::ffff:10.0.0.1", "::ffff:8.8.8.8"), ["::ffff:8.8.8.8"]),
    ],
)
def test_of_public_and_private_addresses_only_the_public_ones_are_left(ips: tuple[str, ...], public: list[str]) -> None:
    assert allowed(*ips) == public


def test_a_name_with_closed_addresses_only_is_blocked_with_the_first_ones_reason() -> None:
    with pytest.raises(Failure, match=r"api.example \(10.0.0.1\) is a private address"):
        allowed("10.0.0.1", "127.0.0.1")


def test_no_more_than_eight_addresses_are_tried() -> None:
    assert len(allowed(*(f"8.8.8.{number}" for number in range(20)))) == 8


@pytest.mark.parametrize("canonical", ["internal.corp", "localhost", "public.example"])
def test_an_alias_is_judged_by_where_it_ends(canonical: str) -> None:
    def lookup(host: str, port: int) -> Sequence[AddressInfo]:
        return infos("10.0.0.1", canonical=canonical)

    executor = Executor(EgressPolicy(allow_hosts=frozenset({canonical})), 1, lookup=lookup)
    outcome = executor.execute(spec("http://alias.example/"))
    executor.close()
    assert outcome.error_type is ErrorType.BLOCKED
    assert "alias.example (10.0.0.1) is a private address" in outcome.error_message


def test_a_name_that_was_public_when_it_was_saved_is_judged_anew_at_each_connection() -> None:
    names = Names({"rebinding.example": ["8.8.8.8", "127.0.0.1", "169.254.169.254", "8.8.8.8"]})
    dialer, verdicts = Dialer(EgressPolicy(), Resolver(1, names), {}), []
    for _ in range(4):
        call = Call(5, 5, True, always, Watchdog())
        call.begin_hop("rebinding.example")
        try:
            verdicts.append([each.ip for each in dialer.allowed(call, "rebinding.example", 80)])
        except Failure as failure:
            verdicts.append([failure.error_type.value])
    assert verdicts == [["8.8.8.8"], ["blocked"], ["blocked"], ["8.8.8.8"]]


def test_what_the_operator_opened_may_be_called() -> None:
    assert allowed("127.0.0.1", "10.0.0.1", policy=LOOPBACK) == ["127.0.0.1"]
