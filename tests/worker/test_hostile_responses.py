"""Every kind of response that is not as it should be ends in one error class, with a sentence (guarantee D6)."""

from __future__ import annotations

import pytest

from runs.outcome import ErrorType
from tests.http_target import RecordingTarget
from tests.worker.calls import spec
from worker.executor import Executor

OK = b"HTTP/1.1 200 OK\r\n"
TWO = b"Content-Length: 2\r\n\r\nok"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

NOT_HTTP = "did not answer in HTTP: its first line begins with"
CUT = "is shorter than announced, or its chunks are malformed"
LONG = "sent a header or chunk line that is too long"
MALFORMED = "sent too many headers, or contradictory ones"
CODING = "sent its response in a Transfer-Encoding that nobody had asked for"
SWITCHED = "switched to another protocol (101), which nobody had asked for"

BAD_RESPONSES = {
    "http/0.9": (b"hello", NOT_HTTP),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n", NOT_HTTP),
    "tls": (b"\x15\x03\x01\x00\x02\x02\x46", NOT_HTTP),
    "nothing but NUL": (bytes(100), NOT_HTTP),
    "http/2 frame": (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", NOT_HTTP),
    "http/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", NOT_HTTP),
    "http/2 line": (b"HTTP/2 200 OK\r\n\r\n", NOT_HTTP),
    "http/7.7": (b"HTTP/7.7 200 OK\r\n\r\n", NOT_HTTP),
    "shoutcast": (b"ICY 200 OK\r\n\r\n", NOT_HTTP),
    "lower case": (b"http/1.1 200 OK\r\n\r\n", NOT_HTTP),
    "empty first line": (b"\r\n" + OK + TWO, NOT_HTTP),
    "no status": (b"HTTP/1.1\r\n\r\n", NOT_HTTP),
    "status is a word": (b"HTTP/1.1 abc OK\r\n\r\n", NOT_HTTP),
    "status 0": (b"HTTP/1.1 000 OK\r\n\r\n", NOT_HTTP),
    "status 99": (b"HTTP/1.1 99 OK\r\n\r\n", NOT_HTTP),
    "status 1000": (b"HTTP/1.1 1000 OK\r\n\r\n", NOT_HTTP),
    "status -1": (b"HTTP/1.1 -1 OK\r\n\r\n", NOT_HTTP),
    "status +200": (b"HTTP/1.1 +200 OK\r\n" + TWO, NOT_HTTP),
    "status 2_00": (b"HTTP/1.1 2_00 OK\r\n" + TWO, NOT_HTTP),
    "status in other digits": ("HTTP/1.1 \u0662\u0660\u0660 OK\r\n".encode() + TWO, NOT_HTTP),
    "carriage return in the status line": (b"HTTP/1.1 200 O\rK\r\n" + TWO, NOT_HTTP),
    "101": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", SWITCHED),
    "100 and the end": (b"HTTP/1.1 100 Continue\r\n\r\n", CUT),
    "103 and the end": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", CUT),
    "flood of 100": (b"HTTP/1.1 100 Continue\r\n\r\n" * 600, MALFORMED),
    "flood of 103": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 600, MALFORMED),
    "half a status line": (b"HTTP/1.1 20", CUT),
    "half a head": (OK + b"X: y\r\n", CUT),
    "half a header": (OK + b"X: y", CUT),
    "endless status line": (b"HTTP/1.1 200 " + b"O" * 70_000, LONG),
    "endless header": (OK + b"X: " + b"y" * 70_000, LONG),
    "many headers": (OK + b"X: y\r\n" * 101 + b"\r\n", MALFORMED),
    "flood of headers": (OK + b"X: y\r\n" * 10_000, MALFORMED),
    "heavy headers": (OK + (b"X: " + b"y" * 60_000 + b"\r\n") * 10 + b"\r\n", LONG),
    "two lengths": (OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nok", MALFORMED),
    "short body": (OK + b"Content-Length: 5\r\n\r\nok", CUT),
    "very short body": (OK + b"Content-Length: 99999999999999\r\n\r\nok", CUT),
    "gzip, then chunked": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", CODING),
    "chunked twice": (OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", CODING),
    "nearly chunked": (OK + b"Transfer-Encoding: xchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", CODING),
    "a second coding": (OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: br\r\n\r\n0\r\n\r\n", CODING),
    "chunk size is a word": (CHUNKED + b"zz\r\nab\r\n0\r\n\r\n", CUT),
    "chunk size is missing": (CHUNKED + b"\r\nab\r\n0\r\n\r\n", CUT),
    "chunk size -2": (CHUNKED + b"-2\r\nab\r\n0\r\n\r\n", CUT),
    "chunk size +2": (CHUNKED + b"+2\r\nab\r\n0\r\n\r\n", CUT),
    "chunk size 0x2": (CHUNKED + b"0x2\r\nab\r\n0\r\n\r\n", CUT),
    "chunk size 1_0": (CHUNKED + b"1_0\r\n" + b"a" * 16 + b"\r\n0\r\n\r\n", CUT),
    "chunk of half the universe": (CHUNKED + b"ffffffffffffffffffff\r\nab", CUT),
    "chunk of eight exabytes": (CHUNKED + b"7fffffffffffffff\r\nab", CUT),
    "chunk longer than its size": (CHUNKED + b"2\r\nabcdef\r\n0\r\n\r\n", CUT),
    "chunk shorter than its size": (CHUNKED + b"5\r\nab", CUT),
    "no last chunk": (CHUNKED + b"2\r\nab\r\n", CUT),
    "endless chunk extension": (CHUNKED + b"2;" + b"x" * 70_000, LONG),
    "flood of trailers": (CHUNKED + b"0\r\n" + b"X: y\r\n" * 10_000, MALFORMED),
    "half a trailer": (CHUNKED + b"0\r\nX: y", CUT),
}

# Odd, and still to be understood in one way only: body and status.
GOOD_RESPONSES = {
    "line feeds alone": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, "ok"),
    "no reason": (b"HTTP/1.1 200\r\n" + TWO, 200, "ok"),
    "reason with controls": (b"HTTP/1.1 200 \x1b[31m\x00\r\n" + TWO, 200, "ok"),
    "http/1.0": (b"HTTP/1.0 200 OK\r\n\r\nto the end", 200, "to the end"),
    "too long a body": (OK + b"Content-Length: 2\r\n\r\nok and more", 200, "ok"),
    "length twice": (OK + b"Content-Length: 2\r\n" + TWO, 200, "ok"),
    "length and chunks": (
        OK + b"Content-Length: 9\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        200,
        "ok",
    ),
    "identity": (OK + b"Transfer-Encoding: identity\r\n" + TWO, 200, "ok"),
    "header without colon": (OK + b"nonsense\r\n" + TWO, 200, "ok"),
    "header on two lines": (OK + b"X: a\r\n b\r\n" + TWO, 200, "ok"),
    "header with NUL": (OK + b"X\x00: a\x00b\r\n" + TWO, 200, "ok"),
    "chunk extension": (CHUNKED + b'2;a="b"\r\nok\r\n0\r\n\r\n', 200, "ok"),
    "chunk size with spaces": (CHUNKED + b"02 \r\nok\r\n0\r\n\r\n", 200, "ok"),
    "trailer": (CHUNKED + b"2\r\nok\r\n0\r\nX: y\r\n\r\n", 200, "ok"),
    "body where none may be": (b"HTTP/1.1 204 No Content\r\n\r\nbody", 204, ""),
    "status 299": (b"HTTP/1.1 299 Odd\r\n" + TWO, 299, "ok"),
}


@pytest.mark.parametrize("kind", BAD_RESPONSES)
def test_a_response_that_is_not_as_it_should_be_is_a_bad_response(
    executor: Executor, target: RecordingTarget, kind: str
) -> None:
    raw, words = BAD_RESPONSES[kind]
    target.script("/raw", raw)
    outcome = executor.execute(spec(target.url("/raw"), timeout_seconds=60))
    assert outcome.error_type is ErrorType.BAD_RESPONSE
    assert words in outcome.error_message
    assert outcome.error_message.isprintable()
    assert len(outcome.error_message) < 300


@pytest.mark.parametrize("kind", GOOD_RESPONSES)
def test_a_response_that_is_odd_is_understood(executor: Executor, target: RecordingTarget, kind: str) -> None:
    raw, status_code, body = GOOD_RESPONSES[kind]
    target.script("/raw", raw)
    outcome = executor.execute(spec(target.url("/raw"), timeout_seconds=60))
    assert (outcome.error_type, outcome.status_code, outcome.response_body) == (ErrorType.NONE, status_code, body)


@pytest.mark.parametrize(("status", "error_type"), [(600, "unexpected_response"), (999, "unexpected_response")])
def test_a_status_that_means_nothing_is_unexpected(
    executor: Executor, target: RecordingTarget, status: int, error_type: str
) -> None:
    target.script("/raw", b"HTTP/1.1 %d Odd\r\n" % status + TWO)
    outcome = executor.execute(spec(target.url("/raw"), timeout_seconds=60))
    assert (outcome.error_type.value, outcome.status_code) == (error_type, status)


def test_no_answer_at_all_is_a_connection_error(executor: Executor, target: RecordingTarget) -> None:
    target.script("/raw", b"")
    outcome = executor.execute(spec(target.url("/raw"), timeout_seconds=60))
    assert outcome.error_type is ErrorType.CONNECTION
    assert outcome.error_message == "127.0.0.1 closed the connection without answering."
