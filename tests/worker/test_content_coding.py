"""Content codings, one and several, against what is made to burst, to hide and to keep us busy (guarantee D6)."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator
from functools import cache

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from runs.outcome import ErrorType
from worker.call import Failure
from worker.content_coding import MOST_INPUT_BYTES, Decoder

TEXT = b"".join(b"line %d of a body that compresses well enough\n" % number for number in range(3000))
ZEROS = bytes(3_000_000)
PLENTY = len(TEXT) + 1


def raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-15)


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "deflate": zlib.compress,
    "raw deflate": raw_deflate,
    "br": lambda data: brotli.compress(data, quality=4),
    "zstd": zstd.compress,
}
CODINGS = sorted(PACK)


@cache
def packed(data: bytes, *codings: str) -> tuple[bytes, str]:
    """The data with the codings applied in this order, and its Content-Encoding."""
    for coding in codings:
        data = PACK[coding](data)
    return data, ", ".join(coding.removeprefix("raw ") for coding in codings)


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def decoded(data: bytes, content_encoding: str, *, size: int = 16_384, limit: int = PLENTY) -> tuple[bytes, Decoder]:
    """What comes out as the executor takes it, up to `limit`, and the decoder."""
    decoder, out = Decoder(content_encoding), b""
    for piece in pieces(data, size):
        if len(out) == limit:
            break
        part = decoder.decode(piece, limit - len(out))
        assert len(out) + len(part) <= limit
        out += part
    if len(out) < limit:
        out += decoder.finish(limit - len(out))
    assert len(out) <= limit
    return out, decoder


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
@pytest.mark.parametrize("coding", CODINGS)
def test_each_coding_is_undone_in_whatever_pieces_it_comes(coding: str, size: int) -> None:
    data, content_encoding = packed(TEXT, coding)
    out, decoder = decoded(data, content_encoding, size=size)
    assert (out, decoder.complete, decoder.undecoded) == (TEXT, True, None)


@pytest.mark.parametrize("size", [13, 10**6])
@pytest.mark.parametrize("outer", CODINGS)
@pytest.mark.parametrize("inner", CODINGS)
def test_codings_on_top_of_each_other_are_undone_last_one_first(inner: str, outer: str, size: int) -> None:
    data, content_encoding = packed(TEXT, inner, outer)
    out, decoder = decoded(data, content_encoding, size=size)
    assert (out, decoder.complete) == (TEXT, True)


@pytest.mark.parametrize("limit", [1, 100, 32_752, 65_536, 102_401])
@pytest.mark.parametrize("codings", [(coding,) for coding in CODINGS] + [("gzip", "gzip"), ("gzip", "br")])
def test_no_more_comes_out_than_is_asked_for(codings: tuple[str, ...], limit: int) -> None:
    data, content_encoding = packed(ZEROS, *codings)
    out, _ = decoded(data, content_encoding, limit=limit)
    assert out == bytes(limit)


@pytest.mark.parametrize(
    ("content_encoding", "undecoded"),
    [
        ("", None),
        ("identity", None),
        ("Identity, ,", None),
        ("compress", "compress"),
        ("gzip, compress", "gzip, compress"),
        ("aes128gcm, gzip", "aes128gcm, gzip"),
        ("gzip;q=1", "gzip;q=1"),
        ("gzip, gzip, gzip, gzip, gzip", "gzip, gzip, gzip, gzip, gzip"),
    ],
)
def test_what_cannot_be_undone_as_a_whole_stays_as_it_is(content_encoding: str, undecoded: str | None) -> None:
    out, decoder = decoded(b"as it came", content_encoding)
    assert (out, decoder.undecoded, decoder.complete) == (b"as it came", undecoded, True)


@pytest.mark.parametrize("content_encoding", ["GZIP", " x-gzip ", "gzip,identity", "identity, gzip"])
def test_names_of_codings_are_read_as_rfc_9110_says(content_encoding: str) -> None:
    assert decoded(gzip.compress(TEXT), content_encoding)[0] == TEXT


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br", "br, gzip"])
def test_what_is_not_in_its_coding_is_a_bad_response_that_names_it(coding: str) -> None:
    with pytest.raises(Failure, match=f"not valid {coding.rpartition(' ')[2]},") as caught:
        decoded(b"\xff\xffcertainly not packed", coding)
    assert caught.value.error_type is ErrorType.BAD_RESPONSE


@pytest.mark.parametrize("coding", CODINGS)
def test_a_stream_that_breaks_off_is_not_complete(coding: str) -> None:
    data, content_encoding = packed(TEXT, coding)
    assert not decoded(data[:-9], content_encoding)[1].complete
    assert decoded(b"", content_encoding)[1].complete


def test_frames_that_follow_each_other_are_one_body() -> None:
    skipped = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"skip!"
    data = zstd.compress(TEXT[:1000]) + skipped + zstd.compress(TEXT[1000:])
    assert decoded(data, "zstd")[0] == TEXT
    assert decoded(data + b"\0 what follows", "zstd", size=10**7)[0] == TEXT


def test_a_frame_that_asks_for_more_memory_than_rfc_9659_allows_is_refused() -> None:
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    with pytest.raises(Failure, match="not valid zstd"):
        decoded(packer.compress(TEXT) + packer.flush(), "zstd")


@pytest.mark.parametrize(
    ("nothing", "content_encoding"),
    [
        (gzip.compress(b""), "gzip"),
        (b"\x50\x2a\x4d\x18" + (1000).to_bytes(4, "little") + bytes(1000), "zstd"),
        (zstd.compress(b""), "zstd"),
    ],
)
def test_input_that_gives_nothing_comes_to_an_end(nothing: bytes, content_encoding: str) -> None:
    data = nothing * (MOST_INPUT_BYTES // len(nothing) + 2)
    with pytest.raises(Failure, match="decode to next to nothing") as caught:
        decoded(data, content_encoding)
    assert caught.value.error_type is ErrorType.BAD_RESPONSE


@pytest.mark.parametrize("outer", ["gzip", "br", "zstd"])
def test_a_small_body_that_bursts_between_two_layers_comes_to_an_end(outer: str) -> None:
    data, content_encoding = packed(gzip.compress(b"") * 30_000, outer)
    assert len(data) < 20_000
    with pytest.raises(Failure, match="decode to next to nothing"):
        decoded(data, f"gzip, {content_encoding}")


@given(
    st.binary(max_size=300),
    st.lists(st.sampled_from(["gzip", "deflate", "br", "zstd", "identity", "odd"]), max_size=5).map(", ".join),
    st.integers(1, 60),
)
def test_any_bytes_are_a_body_or_a_bad_response(data: bytes, content_encoding: str, size: int) -> None:
    try:
        decoded(data, content_encoding, size=size)
    except Failure as failure:
        assert failure.error_type is ErrorType.BAD_RESPONSE


@given(st.binary(max_size=3000), st.lists(st.sampled_from(CODINGS), max_size=4), st.integers(1, 500))
def test_whatever_was_packed_comes_back(data: bytes, codings: list[str], size: int) -> None:
    wire, content_encoding = packed(data, *codings)
    assert decoded(wire, content_encoding, size=size)[0] == data
