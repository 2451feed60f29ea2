"""What is kept of a response, and what is not a response at all (guarantee D6)."""

from __future__ import annotations

import gzip
import socket
import tracemalloc
import zlib
from threading import Event

import brotli
import pytest

from runs.outcome import ErrorType, Outcome
from tests.hostile_sockets import speaking
from tests.http_target import RecordingTarget
from tests.worker.calls import spec
from worker.executor import Executor

KEPT = 102_400
OK = b"HTTP/1.1 200 OK\r\n"


def answered(executor: Executor, target: RecordingTarget, raw: bytes) -> Outcome:
    """The outcome of a call that is answered with these bytes and the end of the connection."""
    target.script("/raw", raw)
    return executor.execute(spec(target.url("/raw"), timeout_seconds=5))


def with_length(body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return OK + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize("size", [0, 1, KEPT - 1, KEPT])
def test_a_body_that_fits_is_kept_whole(executor: Executor, target: RecordingTarget, size: int) -> None:
    outcome = executor.execute(spec(target.url(f"/big?bytes={size}")))
    assert (outcome.response_body, outcome.response_truncated) == ("a" * size, False)
    assert outcome.response_size_bytes == size


@pytest.mark.parametrize("size", [KEPT + 1, 1_000_000])
def test_of_a_bigger_body_the_beginning_is_kept_and_its_length(
    executor: Executor, target: RecordingTarget, size: int
) -> None:
    outcome = executor.execute(spec(target.url(f"/big?bytes={size}")))
    assert outcome.error_type is ErrorType.NONE
    assert (outcome.response_body, outcome.response_truncated) == ("a" * KEPT, True)
    assert outcome.response_size_bytes == size


def test_an_endless_body_is_left_in_the_middle(executor: Executor, target: RecordingTarget) -> None:
    outcome = executor.execute(spec(target.url("/endless")))
    assert outcome.error_type is ErrorType.NONE
    assert (len(outcome.response_body), outcome.response_truncated) == (KEPT, True)
    assert outcome.response_size_bytes is not None
    assert KEPT < outcome.response_size_bytes < 2 * KEPT


def test_chunks_are_put_together(executor: Executor, target: RecordingTarget) -> None:
    outcome = executor.execute(spec(target.url("/chunked?bytes=5000")))
    assert (outcome.response_body, outcome.response_truncated) == ("c" * 5000, False)
    assert outcome.response_size_bytes == 5000


def test_a_body_may_end_with_the_connection(executor: Executor, target: RecordingTarget) -> None:
    outcome = answered(executor, target, OK + b"\r\nuntil the end")
    assert (outcome.error_type, outcome.response_body) == (ErrorType.NONE, "until the end")
    assert not outcome.response_truncated


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        (b"gzip", gzip.compress(b"plain text", mtime=0)),
        (b"x-gzip", gzip.compress(b"plain text", mtime=0)),
        (b"GZIP", gzip.compress(b"plain ", mtime=0) + gzip.compress(b"text", mtime=0)),
        (b"deflate", zlib.compress(b"plain text")),
        (b"deflate", zlib.compress(b"plain text", wbits=-15)),
        (b"identity", b"plain text"),
        (b"br", brotli.compress(b"plain text")),
        (b"zstd", bytes.fromhex("28b52ffd200a510000") + b"plain text"),
        (b"gzip, gzip", gzip.compress(gzip.compress(b"plain text"))),
        (b"gzip, br", brotli.compress(gzip.compress(b"plain text"))),
        (b"br\r\nContent-Encoding: gzip", gzip.compress(brotli.compress(b"plain text"))),
    ],
)
def test_a_compressed_body_is_unpacked(
    executor: Executor, target: RecordingTarget, coding: bytes, packed: bytes
) -> None:
    outcome = answered(executor, target, with_length(packed, b"Content-Encoding: " + coding))
    assert (outcome.error_type, outcome.response_body) == (ErrorType.NONE, "plain text")
    assert outcome.response_size_bytes == len(packed)
    assert not outcome.response_truncated


def test_an_empty_body_need_not_be_compressed(executor: Executor, target: RecordingTarget) -> None:
    outcome = answered(executor, target, with_length(b"", b"Content-Encoding: gzip"))
    assert (outcome.error_type, outcome.response_body) == (ErrorType.NONE, "")


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
def test_a_body_that_is_not_as_compressed_as_it_says_is_a_bad_response(
    executor: Executor, target: RecordingTarget, coding: bytes
) -> None:
    outcome = answered(executor, target, with_length(b"\xff\xffnot packed at all", b"Content-Encoding: " + coding))
    assert outcome.error_type is ErrorType.BAD_RESPONSE
    assert outcome.status_code == 200
    assert f"not valid {coding.decode()}" in outcome.error_message


def test_a_compressed_body_that_breaks_off_is_a_bad_response(executor: Executor, target: RecordingTarget) -> None:
    packed = gzip.compress(bytes(range(256)) * 10)
    outcome = answered(executor, target, with_length(packed[:-12], b"Content-Encoding: gzip"))
    assert outcome.error_type is ErrorType.BAD_RESPONSE
    assert "breaks off" in outcome.error_message


@pytest.mark.parametrize("coding", ["compress", "gzip, odd", "gzip, gzip, gzip, gzip, gzip"])
def test_a_coding_that_can_not_be_undone_is_kept_as_it_is_with_a_mark(
    executor: Executor, target: RecordingTarget, coding: str
) -> None:
    outcome = answered(executor, target, with_length(b"whatever", b"Content-Encoding: " + coding.encode()))
    assert (outcome.error_type, outcome.response_truncated) == (ErrorType.NONE, False)
    assert outcome.response_body == f"[Not decoded: Content-Encoding {coding}]\nwhatever"


def test_the_mark_is_no_part_of_what_is_judged(executor: Executor, target: RecordingTarget) -> None:
    target.script("/raw", with_length(b"whatever", b"Content-Encoding: compress"))
    outcome = executor.execute(spec(target.url("/raw"), response_must_contain="compress"))
    assert outcome.error_type is ErrorType.UNEXPECTED_RESPONSE


def test_the_mark_counts_towards_what_is_stored(executor: Executor, target: RecordingTarget) -> None:
    raw = with_length(b"a" * 200_000, b"Content-Encoding: compress")
    outcome = answered(executor, target, raw)
    assert outcome.response_body.startswith("[Not decoded: Content-Encoding compress]\naaa")
    assert (len(outcome.response_body), outcome.response_truncated) == (KEPT, True)


def test_an_empty_body_needs_no_mark(executor: Executor, target: RecordingTarget) -> None:
    assert answered(executor, target, with_length(b"", b"Content-Encoding: compress")).response_body == ""


def test_a_bomb_does_not_go_off(executor: Executor, target: RecordingTarget) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(b"B" * 1_000_000) for _ in range(60)) + packer.flush()
    raw = with_length(bomb, b"Content-Encoding: gzip")
    tracemalloc.start()
    outcome = answered(executor, target, raw)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (outcome.response_body, outcome.response_truncated) == ("B" * KEPT, True)
    assert peak < 3_000_000


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        (b"text/plain; charset=iso-8859-1", b"caf\xe9", "café"),
        (b"text/plain", "café".encode(), "café"),
        (b"text/plain", b"caf\xe9", "caf\ufffd"),
        (b"text/plain; charset=nonsense", "café".encode(), "café"),
        (b"application/octet-stream", b"a\x00b\x01", "a\ufffdb\x01"),
    ],
)
def test_a_body_becomes_text_that_can_be_stored(
    executor: Executor, target: RecordingTarget, content_type: bytes, body: bytes, text: str
) -> None:
    outcome = answered(executor, target, with_length(body, b"Content-Type: " + content_type))
    assert outcome.response_body == text


def test_headers_become_text_that_can_be_stored(executor: Executor, target: RecordingTarget) -> None:
    raw = with_length(b"", b"X-Two: 1", b"x-two: 2", b"X-Odd: a\x00b\x07c", b"X-Long: " + b"h" * 20_000)
    headers = answered(executor, target, raw).response_headers
    assert headers["X-Two"] == "1, 2"
    assert headers["X-Odd"] == "a\ufffdb\ufffdc"
    assert len(headers["X-Long"]) == 8192


@pytest.mark.parametrize("interim", [b"100 Continue", b"102 Processing", b"103 Early Hints", b"199 Whatever"])
def test_an_interim_answer_is_not_the_answer(executor: Executor, target: RecordingTarget, interim: bytes) -> None:
    first = b"HTTP/1.1 " + interim + b"\r\nLink: </a>\r\n\r\n"
    outcome = answered(executor, target, first + first + with_length(b"final"))
    assert (outcome.status_code, outcome.response_body) == (200, "final")
    assert "Link" not in outcome.response_headers


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "its first line begins with 'SSH-2.0-OpenSSH_9.2'"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "did not answer in HTTP"),
        (b"HTTP/1.1 99 Low\r\n\r\n", "did not answer in HTTP"),
        (b"HTTP/7.7 200 OK\r\n\r\n", "did not answer in HTTP"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "switched to another protocol (101)"),
        (b"\x00\xff\x00\xff\r\n", "did not answer in HTTP"),
        (OK + b"X-Cut: of", "shorter than announced"),
        (OK, "shorter than announced"),
        (OK + b"Content-Length: 10\r\n\r\nshort", "shorter than announced"),
        (OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", "contradictory"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", "chunks are malformed"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n", "chunks are malformed"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", "chunks are malformed"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"5" * 70_000, "line that is too long"),
        (OK + b"X-A: b\r\n" * 150 + b"\r\n", "too many headers"),
        (OK + b"X-A: " + b"b" * 70_000 + b"\r\n\r\n", "line that is too long"),
        (OK + (b"X-A: " + b"b" * 60_000 + b"\r\n") * 10 + b"\r\n", "line that is too long"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 300, "too many headers"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 600, "too many headers"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: cut", "shorter than announced"),
        (b"HTTP/1.1 " + b"2" * 70_000, "line that is too long"),
    ],
)
def test_what_is_no_proper_response_is_a_bad_response(
    executor: Executor, target: RecordingTarget, raw: bytes, words: str
) -> None:
    outcome = answered(executor, target, raw)
    assert outcome.error_type is ErrorType.BAD_RESPONSE
    assert words in outcome.error_message


def test_a_connection_closed_without_an_answer_is_a_connection_error(
    executor: Executor, target: RecordingTarget
) -> None:
    outcome = executor.execute(spec(target.url("/hang-up")))
    assert outcome.error_type is ErrorType.CONNECTION
    assert outcome.error_message == "127.0.0.1 closed the connection without answering."


@pytest.mark.parametrize(("announced", "size"), [(b"-5", 4), (b"abc", 4), (b"9" * 30, 4), (b"4, 4", 4), (b"\xb2", 4)])
def test_an_impossible_length_is_replaced_by_what_was_read(
    executor: Executor, target: RecordingTarget, announced: bytes, size: int
) -> None:
    raw = OK + b"Content-Length: " + announced + b"\r\n\r\nfour"
    assert answered(executor, target, raw).response_size_bytes == size


def test_an_answer_that_comes_before_the_request_is_taken_in_counts(executor: Executor) -> None:
    def refuse(connection: socket.socket, _: Event) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with speaking(refuse) as port:
        outcome = executor.execute(spec(f"http://127.0.0.1:{port}/", method="POST", body=bytes(5_000_000)))
    assert (outcome.error_type, outcome.status_code) == (ErrorType.CLIENT_ERROR, 413)
