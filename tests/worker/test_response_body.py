from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.outcome import ErrorType
from worker.call import Failure
from worker.response_body import Body
from worker.response_text import MAX_BODY_BYTES

TEXT = b"The quick brown fox jumps over the lazy dog. " * 20


class Pieces:
    """A source that gives these pieces, and knows how many were taken."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self.taken = 0

    def read1(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        assert decode_content is False
        self.taken += 1
        return next(self._pieces, b"")


def in_time() -> None:
    """There is always time left."""


def read(pieces: Iterable[bytes], coding: str = "") -> Body:
    body = Body()
    body.read(Pieces(pieces), {"content-encoding": coding}, in_time)
    return body


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("", TEXT),
        ("gzip", gzip.compress(TEXT, mtime=0)),
        ("gzip", gzip.compress(TEXT[:100], mtime=0) + gzip.compress(TEXT[100:], mtime=0)),
        ("gzip", gzip.compress(TEXT, mtime=0) + b"trailing garbage"),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", zlib.compress(TEXT, wbits=-15)),
        ("deflate", zlib.compress(TEXT) + b"trailing garbage"),
    ],
    ids=["identity", "gzip", "gzip-members", "gzip-garbage", "zlib", "raw-deflate", "zlib-garbage"],
)
def test_a_body_is_the_same_in_whatever_pieces_it_comes(coding: str, packed: bytes, size: int) -> None:
    body = read(cut(packed, size), coding)
    assert (body.data, body.truncated, body.wire_bytes) == (TEXT, False, len(packed))


@given(st.binary(min_size=1, max_size=400), st.sampled_from(["gzip", "deflate"]), st.integers(1, 50))
def test_any_bytes_are_a_body_or_a_bad_response(data: bytes, coding: str, size: int) -> None:
    try:
        read(cut(data, size), coding)
    except Failure as failure:
        assert failure.error_type is ErrorType.BAD_RESPONSE


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_what_was_read_before_a_failure_stays(coding: str) -> None:
    packed = gzip.compress(TEXT, mtime=0) if coding == "gzip" else zlib.compress(TEXT)
    body = Body()
    with pytest.raises(Failure):
        body.read(Pieces([packed[:-6]]), {"content-encoding": coding}, in_time)
    assert TEXT.startswith(body.data)
    assert body.wire_bytes == len(packed) - 6


def test_it_stops_as_soon_as_there_is_enough() -> None:
    source = Pieces(b"a" * 10_000 for _ in range(1000))
    body = Body()
    body.read(source, {}, in_time)
    assert source.taken == MAX_BODY_BYTES // 10_000 + 1
    assert (len(body.data), body.truncated) == (MAX_BODY_BYTES, True)


def test_a_body_that_is_just_as_long_as_what_is_kept_is_complete() -> None:
    body = read([b"a" * MAX_BODY_BYTES])
    assert (len(body.data), body.truncated) == (MAX_BODY_BYTES, False)


def test_it_asks_for_the_time_before_each_piece() -> None:
    class OverError(Exception):
        """The time is over."""

    asked = iter([None, None])

    def check_time() -> None:
        if next(asked, OverError) is OverError:
            raise OverError

    body = Body()
    with pytest.raises(OverError):
        body.read(Pieces([b"a"] * 10), {}, check_time)
    assert (body.data, body.truncated) == (b"aa", True)


@pytest.mark.parametrize("size", [1, 2, 10_000])
@pytest.mark.parametrize("packed", [gzip.compress(TEXT, mtime=0), zlib.compress(TEXT)], ids=["gzip", "deflate"])
def test_a_broken_checksum_is_a_bad_response(packed: bytes, size: int) -> None:
    end = 8 if packed[:1] == b"\x1f" else 4
    broken = packed[:-end] + b"\x00" * end
    coding = "gzip" if end == 8 else "deflate"
    with pytest.raises(Failure, match=f"not valid {coding}"):
        read(cut(broken, size), coding)
