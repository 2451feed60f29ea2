from __future__ import annotations

import errno
import ssl
from http.client import BadStatusLine, HTTPException, IncompleteRead, LineTooLong, RemoteDisconnected

import pytest
from urllib3.exceptions import InvalidHeader, ProtocolError

from runs.outcome import ErrorType
from worker.call import Call, Failure, Phase
from worker.failures import classify
from worker.watchdog import Watchdog


def in_phase(phase: Phase, *, connect_timeout_seconds: float = 60) -> Call:
    call = Call(
        timeout_seconds=60,
        connect_timeout_seconds=connect_timeout_seconds,
        verify_tls=True,
        may_send=lambda: True,
        watchdog=Watchdog(),
    )
    call.begin_hop("api.example")
    call.phase = phase
    return call


@pytest.mark.parametrize(
    ("error", "error_type", "message"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "?"), "connection", "api.example refused the connection."),
        (ConnectionResetError(errno.ECONNRESET, "?"), "connection", "api.example reset the connection."),
        (BrokenPipeError(errno.EPIPE, "?"), "connection", "api.example closed the connection."),
        (
            OSError(errno.ENETUNREACH, "?"),
            "connection",
            "api.example can't be reached: there is no route to its network.",
        ),
        (OSError(errno.EHOSTUNREACH, "?"), "connection", "api.example can't be reached: there is no route to it."),
        (OSError(errno.EMFILE, "?"), "connection", "The connection to api.example failed (Too many open files)."),
        (OSError("secret"), "connection", "The connection to api.example failed (OSError)."),
        (RemoteDisconnected("?"), "connection", "api.example closed the connection without answering."),
        (ssl.SSLEOFError(8, "?"), "connection", "api.example closed the connection without answering."),
        (TimeoutError(), "timeout", "api.example did not answer within 60 s (timeout_seconds)."),
        (ssl.SSLError(1, "?"), "ssl", "The TLS connection to api.example failed."),
        (
            ssl.SSLCertVerificationError(1, "?"),
            "ssl",
            "The certificate of api.example can't be verified.",
        ),
        (
            BadStatusLine("\x00\x01hello"),
            "bad_response",
            "api.example did not answer in HTTP: its first line begins with '\ufffd\ufffdhello'.",
        ),
        (LineTooLong("?"), "bad_response", "api.example sent a header or chunk line that is too long."),
        (HTTPException(), "bad_response", "api.example sent too many headers, or contradictory ones."),
        (InvalidHeader("?"), "bad_response", "api.example sent too many headers, or contradictory ones."),
        (
            IncompleteRead(b"?"),
            "bad_response",
            "The response of api.example is shorter than announced, or its chunks are malformed.",
        ),
        (ValueError("secret"), "unknown", "The call of api.example failed (ValueError)."),
    ],
)
def test_every_error_has_a_class_and_a_sentence(error: Exception, error_type: str, message: str) -> None:
    failure = classify(error, in_phase(Phase.WAIT))
    assert (failure.error_type, failure.message) == (ErrorType(error_type), message)


def test_what_urllib3_has_wrapped_is_looked_into() -> None:
    wrapped = ProtocolError("Connection broken")
    wrapped.__cause__ = ConnectionResetError(errno.ECONNRESET, "?")
    assert classify(wrapped, in_phase(Phase.BODY)).message == "api.example reset the connection."


def test_a_failure_stays_what_it_is() -> None:
    failure = Failure(ErrorType.BLOCKED, "Not there.")
    assert classify(failure, in_phase(Phase.CONNECT)) is failure


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        (Phase.HANDSHAKE, "during the TLS handshake"),
        (Phase.WAIT, "without answering"),
        (Phase.BODY, "in the middle of its response"),
    ],
)
def test_a_closed_connection_says_when(phase: Phase, words: str) -> None:
    failure = classify(ssl.SSLEOFError(8, "?"), in_phase(phase))
    assert failure.message == f"api.example closed the connection {words}."


@pytest.mark.parametrize(
    "error", [ConnectionResetError(), RemoteDisconnected("?"), IncompleteRead(b""), ssl.SSLError()]
)
def test_whatever_breaks_after_the_deadline_is_a_timeout(error: Exception) -> None:
    call = in_phase(Phase.BODY)
    call.expired = True
    assert classify(error, call).error_type is ErrorType.TIMEOUT


@pytest.mark.parametrize(
    ("phase", "setting"),
    [
        (Phase.LOOKUP, "5 s (connect_timeout_seconds)"),
        (Phase.CONNECT, "5 s (connect_timeout_seconds)"),
        (Phase.HANDSHAKE, "5 s (connect_timeout_seconds)"),
        (Phase.SEND, "60 s (timeout_seconds)"),
        (Phase.WAIT, "60 s (timeout_seconds)"),
        (Phase.BODY, "60 s (timeout_seconds)"),
    ],
)
def test_a_timeout_names_the_setting_that_ended_it(phase: Phase, setting: str) -> None:
    failure = classify(TimeoutError(), in_phase(phase, connect_timeout_seconds=5))
    assert failure.message.endswith(f"within {setting}.")
