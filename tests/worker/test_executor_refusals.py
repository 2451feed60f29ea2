"""Names and addresses: what is unknown, refused, or not allowed (guarantees D1 and D2)."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_network

import pytest

from runs.outcome import ErrorType, Outcome
from targets.egress import EgressPolicy
from targets.request_spec import RequestSpec
from tests.hostile_sockets import closed_port
from tests.http_target import RecordingTarget
from tests.worker.calls import LOOPBACK, Names, spec
from worker.executor import Executor
from worker.resolver import AddressInfo

CLOSED = EgressPolicy()


def execute(policy: EgressPolicy, request: RequestSpec, names: Names | None = None) -> Outcome:
    executor = Executor(policy, 2, lookup=names or Names({}))
    outcome = executor.execute(request)
    executor.close()
    return outcome


def test_a_refused_connection_says_so() -> None:
    outcome = execute(LOOPBACK, spec(f"http://127.0.0.1:{closed_port()}/"))
    assert outcome.error_type is ErrorType.CONNECTION
    assert outcome.error_message == "127.0.0.1 refused the connection."
    assert outcome.status_code is None
    assert outcome.response_size_bytes is None
    assert outcome.timings.connect_ms is not None


def test_an_unknown_name_says_so() -> None:
    outcome = execute(LOOPBACK, spec("http://nowhere.invalid/"))
    assert outcome.error_type is ErrorType.DNS
    assert outcome.error_message == "The host name nowhere.invalid is not known: no address for it."
    assert outcome.timings.dns_ms is not None
    assert outcome.timings.connect_ms is None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(socket.EAI_AGAIN, "later"), "could not be looked up just now"),
        (UnicodeError("label too long"), "is not known"),
    ],
)
def test_a_lookup_that_fails_is_a_dns_error(error: Exception, words: str) -> None:
    def lookup(host: str, port: int) -> Sequence[AddressInfo]:
        raise error

    executor = Executor(LOOPBACK, 1, lookup=lookup)
    outcome = executor.execute(spec("http://some.example/"))
    executor.close()
    assert outcome.error_type is ErrorType.DNS
    assert words in outcome.error_message


def test_a_name_without_addresses_is_unknown() -> None:
    assert execute(LOOPBACK, spec("http://empty.example/"), Names({"empty.example": [[]]})).error_type is ErrorType.DNS


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.8", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]"])
def test_an_address_that_is_not_public_is_blocked(host: str) -> None:
    outcome = execute(CLOSED, spec(f"http://{host}/latest/meta-data"))
    assert outcome.error_type is ErrorType.BLOCKED
    assert "EGRESS_ALLOW_CIDRS" in outcome.error_message
    assert outcome.remote_ip is None


def test_a_name_that_leads_to_a_private_address_is_blocked(target: RecordingTarget) -> None:
    names = Names({"inside.example": ["127.0.0.1"]})
    outcome = execute(CLOSED, spec(target.url("/x", host="inside.example")), names)
    assert outcome.error_type is ErrorType.BLOCKED
    assert "inside.example (127.0.0.1) is a loopback address" in outcome.error_message
    assert target.calls() == []


def test_a_name_can_be_opened_whatever_it_resolves_to(target: RecordingTarget) -> None:
    names = Names({"inside.example": ["127.0.0.1"]})
    policy = EgressPolicy(allow_hosts=frozenset({"inside.example"}))
    assert execute(policy, spec(target.url("/x", host="inside.example")), names).error_type is ErrorType.NONE
    assert target.calls()[0].headers["host"] == f"inside.example:{target.port}"


def test_what_is_denied_stays_closed(target: RecordingTarget) -> None:
    networks = (ip_network("127.0.0.0/8"),)
    outcome = execute(EgressPolicy(allow_networks=networks, deny_networks=networks), spec(target.url("/x")))
    assert outcome.error_type is ErrorType.BLOCKED
    assert "EGRESS_DENY_CIDRS" in outcome.error_message


def test_the_address_that_is_connected_to_is_the_one_that_was_judged(target: RecordingTarget) -> None:
    # A name that changes its address between a check and the connection: there must be no second look-up.
    names = Names({"rebinding.example": ["127.0.0.1", "10.0.0.1", "10.0.0.1"]})
    outcome = execute(LOOPBACK, spec(target.url("/x", host="rebinding.example")), names)
    assert (outcome.error_type, outcome.remote_ip) == (ErrorType.NONE, "127.0.0.1")
    assert names.asked == ["rebinding.example"]


def test_a_name_that_has_come_to_lead_inside_is_blocked_at_that_call(target: RecordingTarget) -> None:
    names = Names({"rebinding.example": ["127.0.0.1", "10.0.0.1"]})
    executor = Executor(LOOPBACK, 1, lookup=names)
    # Answers in raw bytes end the connection, so that the second call must open its own.
    target.script("/x", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    request = spec(target.url("/x", host="rebinding.example"))
    assert executor.execute(request).error_type is ErrorType.NONE
    assert executor.execute(request).error_type is ErrorType.BLOCKED
    executor.close()


def test_of_several_addresses_only_an_allowed_one_is_connected_to(target: RecordingTarget) -> None:
    names = Names({"mixed.example": [["10.0.0.1", "127.0.0.1", "192.168.1.1"]]})
    outcome = execute(LOOPBACK, spec(target.url("/x", host="mixed.example")), names)
    assert (outcome.error_type, outcome.remote_ip) == (ErrorType.NONE, "127.0.0.1")


def test_the_next_address_is_tried_where_one_refuses(target: RecordingTarget) -> None:
    # The target listens on 127.0.0.1 only.
    names = Names({"two.example": [["127.0.0.2", "127.0.0.1"]]})
    outcome = execute(LOOPBACK, spec(target.url("/x", host="two.example")), names)
    assert (outcome.error_type, outcome.remote_ip) == (ErrorType.NONE, "127.0.0.1")
    assert len(target.calls()) == 1


def test_all_addresses_that_refuse_are_one_failure() -> None:
    names = Names({"two.example": [["127.0.0.2", "127.0.0.1"]]})
    outcome = execute(LOOPBACK, spec(f"http://two.example:{closed_port()}/"), names)
    assert outcome.error_message == "two.example refused the connection."


def test_a_port_of_another_service_is_refused() -> None:
    outcome = execute(LOOPBACK, spec("http://127.0.0.1:5432/"))
    assert outcome.error_type is ErrorType.BLOCKED
    assert "EGRESS_ALLOW_PORTS" in outcome.error_message


def test_a_port_of_another_service_can_be_opened() -> None:
    policy = EgressPolicy(allow_networks=LOOPBACK.allow_networks, allow_ports=frozenset({9}))
    assert execute(policy, spec("http://127.0.0.1:9/")).error_type is ErrorType.CONNECTION
