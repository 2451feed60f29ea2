from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from threading import Event

import pytest

from runs.outcome import ErrorType, Outcome
from tests.certificates import Authority
from tests.hostile_sockets import speaking
from tests.http_target import RecordingTarget
from tests.worker.calls import LOOPBACK, Names, spec
from worker.executor import Executor

NAMES = {"shop.example": ["127.0.0.1"], "other.example": ["127.0.0.1"]}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def door(authority: Authority) -> Iterator[Executor]:
    """An executor that trusts the test's authority and knows two names of loopback."""
    executor = Executor(LOOPBACK, 2, lookup=Names(NAMES))
    authority.trust(executor.transport.contexts[True])
    yield executor
    executor.close()


def call(executor: Executor, context: ssl.SSLContext, host: str = "127.0.0.1", *, verify_tls: bool = True) -> Outcome:
    with RecordingTarget(tls=context) as target:
        outcome = executor.execute(spec(target.url("/x", host=host), verify_tls=verify_tls))
        assert len(target.calls()) == (1 if outcome.error_type is ErrorType.NONE else 0)
        return outcome


def test_a_trusted_certificate_is_accepted(door: Executor, authority: Authority) -> None:
    outcome = call(door, authority.server())
    assert outcome.error_type is ErrorType.NONE
    assert outcome.timings.tls_ms is not None
    assert outcome.timings.tls_ms > 0


def test_the_name_in_the_url_is_the_one_that_is_checked(door: Executor, authority: Authority) -> None:
    assert call(door, authority.server("shop.example"), "shop.example").error_type is ErrorType.NONE


def test_the_name_in_the_url_is_asked_for_in_the_handshake(door: Executor, authority: Authority) -> None:
    asked: list[str] = []
    context = authority.server("shop.example")
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    call(door, context, "shop.example")
    assert asked == ["shop.example"]


def test_a_certificate_for_another_name_is_refused(door: Executor, authority: Authority) -> None:
    outcome = call(door, authority.server("shop.example"), "other.example")
    assert outcome.error_type is ErrorType.SSL
    assert outcome.error_message == "The certificate of other.example is for another host name."


def test_a_certificate_for_another_address_is_refused(door: Executor, authority: Authority) -> None:
    outcome = call(door, authority.server("shop.example"))
    assert outcome.error_message == "The certificate of 127.0.0.1 is for another IP address."


def test_an_expired_certificate_is_refused(door: Executor, authority: Authority) -> None:
    outcome = call(door, authority.expired("shop.example"), "shop.example")
    assert outcome.error_type is ErrorType.SSL
    assert outcome.error_message == "The certificate of shop.example has expired."


def test_a_certificate_of_a_stranger_is_refused(door: Executor) -> None:
    outcome = call(door, Authority().server())
    assert outcome.error_type is ErrorType.SSL
    assert outcome.error_message == "The certificate of 127.0.0.1 is signed by an authority that is not trusted."


def test_the_check_can_be_switched_off(door: Executor) -> None:
    assert call(door, Authority().expired("nobody.example"), verify_tls=False).error_type is ErrorType.NONE


def test_a_connection_made_without_the_check_is_never_used_with_it(door: Executor) -> None:
    with RecordingTarget(tls=Authority().server()) as target:
        assert door.execute(spec(target.url("/x"), verify_tls=False)).error_type is ErrorType.NONE
        assert door.execute(spec(target.url("/x"))).error_type is ErrorType.SSL


def test_plain_http_on_an_https_url_is_told_apart(door: Executor, target: RecordingTarget) -> None:
    outcome = door.execute(spec(f"https://127.0.0.1:{target.port}/"))
    assert outcome.error_type is ErrorType.SSL
    assert outcome.error_message == "127.0.0.1 does not speak TLS on this port: is it http rather than https?"


def test_a_server_without_a_common_cipher_is_told_in_words(door: Executor, authority: Authority) -> None:
    context = authority.server()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA")
    outcome = call(door, context)
    assert outcome.error_type is ErrorType.SSL
    assert outcome.error_message.startswith("The TLS connection to 127.0.0.1 failed (")


def test_a_connection_closed_in_the_handshake_is_a_connection_error(door: Executor) -> None:
    def hang_up(connection: socket.socket, _: Event) -> None:
        connection.recv(10_000)

    with speaking(hang_up) as port:
        outcome = door.execute(spec(f"https://127.0.0.1:{port}/"))
    assert outcome.error_type is ErrorType.CONNECTION
    assert "127.0.0.1" in outcome.error_message
