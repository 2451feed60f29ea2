"""Undoing content codings, bounded in what goes in, between and out (RFC 9110, section 8.4.1; guarantee D6)."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from runs.outcome import ErrorType
from worker.call import Failure

# What is stored of a body comes from far less than this, in any layer. One that takes more is made to keep us busy.
MOST_INPUT_BYTES = 262_144
# More than one is rare, and more than a few are an attack.
MOST_LAYERS = 4
_STEP_BYTES = 65_536
# More than what is stored: data that can't be compressed any further gets a little longer by trying.
_BROTLI_INPUT_BYTES = 131_072
# One thread, so that there is one window at a time, and one place in which the memory for it is kept.
_BROTLI_THREAD = ThreadPoolExecutor(1, "brotli")
_ZLIB = zlib.MAX_WBITS
_GZIP = zlib.MAX_WBITS | 16
_RAW_DEFLATE = -zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f"
# RFC 9659: a decoder need not give more than 8 MB to the window.
_ZSTD_OPTIONS: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}
# A frame begins with FD2FB528 and one to be skipped with 184D2A5?, little-endian (RFC 8878, section 3.1).
_ZSTD_MAGIC = (b"\x28", *(bytes([0x50 + low]) for low in range(16)))


class Broken(Exception):
    """The data is not in the coding that it is said to be in."""


class Layer(Protocol):
    """One coding. Input that is not used up at once is kept."""

    @property
    def complete(self) -> bool:
        """False where the stream has begun and not ended."""

    def decode(self, data: bytes, limit: int) -> bytes:
        """At most `limit` decoded bytes of `data` and of what is kept; nothing where all of it is used up.

        Raises:
            Broken: it is not in this coding.
        """

    def finish(self, limit: int) -> bytes:
        """The same once all data is in.

        Raises:
            Broken: it is not in this coding.
        """


class Deflated:
    """gzip, in one or more members, and deflate, with or without the zlib wrapper that some servers leave out."""

    def __init__(self, *, gzip: bool) -> None:
        """`gzip` tells the two apart."""
        self._gzip = gzip
        self._inflate = self._new(_GZIP if gzip else _ZLIB)
        self._kept = b""
        # What the decoder has had, up to the two bytes that tell zlib from raw deflate.
        self._fed = b""
        self._finished = False
        # zlib can have taken in everything and still hold output back.
        self._more = False

    @property
    def complete(self) -> bool:
        """False where the stream has begun and not ended."""
        return self._finished or not self._fed

    def decode(self, data: bytes, limit: int) -> bytes:
        """See `Layer`."""
        data, self._kept = self._kept + data, b""
        parts: list[bytes] = []
        while (data or self._more) and limit > 0:
            if self._finished:
                # RFC 1952, section 2.2: members follow each other. What else follows is not ours to judge.
                if not self._gzip or data[:1] != _GZIP_MAGIC:
                    return b"".join(parts)
                self._inflate, self._finished = self._new(_GZIP), False
            part = self._inflated(data, limit)
            parts.append(part)
            self._finished = self._inflate.eof
            self._more = len(part) == limit and not self._finished
            limit -= len(part)
            data = self._inflate.unused_data if self._finished else self._inflate.unconsumed_tail
        self._kept = data
        return b"".join(parts)

    def finish(self, limit: int) -> bytes:
        """See `Layer`."""
        return self.decode(b"", limit)

    def _inflated(self, data: bytes, limit: int) -> bytes:
        before, self._fed = self._fed, (self._fed + data[:2])[:2]
        try:
            return self._inflate.decompress(data, limit)
        except zlib.error:
            if self._gzip or len(before) == 2:
                raise Broken from None
        self._inflate = self._new(_RAW_DEFLATE)
        return self._inflated(before + data, limit)

    @staticmethod
    def _new(bits: int) -> zlib._Decompress:
        return zlib.decompressobj(bits)


class Brotli:
    """br (RFC 7932), collected first and then unpacked in one go.

    The library fills its window, 16 MB at most, whatever is asked of it: no such window may wait for a slow target.
    """

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._packed = bytearray()
        self._given = 0
        self._finished = False

    @property
    def complete(self) -> bool:
        """False where the stream has begun and not ended."""
        return self._finished or not self._packed

    def decode(self, data: bytes, limit: int) -> bytes:
        """See `Layer`."""
        self._packed += data
        return self.finish(limit) if len(self._packed) >= _BROTLI_INPUT_BYTES else b""

    def finish(self, limit: int) -> bytes:
        """See `Layer`."""
        if not self._packed:
            return b""
        unpacked, self._finished = _BROTLI_THREAD.submit(_unpack, bytes(self._packed), self._given + limit).result()
        given = unpacked[self._given :]
        self._given += len(given)
        return given


def _unpack(packed: bytes, limit: int) -> tuple[bytes, bool]:
    """Up to `limit` bytes, and whether the stream ends with them."""
    decoder, unpacked = brotli.Decompressor(), bytearray()
    try:
        while len(unpacked) < limit and not decoder.is_finished():
            # Whole blocks of 32 KB come, however small the limit.
            part = decoder.process(packed, output_buffer_limit=1)
            if not part and decoder.can_accept_more_data():
                break
            unpacked += part
            packed = b""
    except brotli.error:
        raise Broken from None
    return bytes(unpacked[:limit]), decoder.is_finished() and len(unpacked) <= limit


class Zstandard:
    """zstd, in one or more frames (RFC 8878)."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._decoder = self._new()
        self._kept = b""
        self._fed = False

    @property
    def complete(self) -> bool:
        """False where the stream has begun and not ended."""
        return self._decoder.eof or not self._fed

    def decode(self, data: bytes, limit: int) -> bytes:
        """See `Layer`."""
        data, self._kept = self._kept + data, b""
        parts: list[bytes] = []
        while limit > 0 and (data or not (self._decoder.eof or self._decoder.needs_input)):
            if self._decoder.eof:
                if data[:1] not in _ZSTD_MAGIC:
                    return b"".join(parts)
                self._decoder = self._new()
            self._fed = True
            try:
                part = self._decoder.decompress(data, limit)
            except zstd.ZstdError:
                raise Broken from None
            parts.append(part)
            limit -= len(part)
            data = self._decoder.unused_data if self._decoder.eof else b""
        self._kept = data
        return b"".join(parts)

    def finish(self, limit: int) -> bytes:
        """See `Layer`."""
        return self.decode(b"", limit)

    @staticmethod
    def _new() -> zstd.ZstdDecompressor:
        return zstd.ZstdDecompressor(options=_ZSTD_OPTIONS)


_LAYERS: Mapping[str, Callable[[], Layer]] = {
    "gzip": lambda: Deflated(gzip=True),
    "x-gzip": lambda: Deflated(gzip=True),
    "deflate": lambda: Deflated(gzip=False),
    "br": Brotli,
    "zstd": Zstandard,
}


class Decoder:
    """Undoes what a Content-Encoding lists, last coding first. What it can't undo as a whole it leaves as it is."""

    def __init__(self, content_encoding: str) -> None:
        """`content_encoding` is the value of the header, or nothing."""
        codings = [coding.strip().lower() for coding in content_encoding.split(",")]
        self._codings = [coding for coding in reversed(codings) if coding not in ("", "identity")]
        known = len(self._codings) <= MOST_LAYERS and all(coding in _LAYERS for coding in self._codings)
        self.undecoded = None if known else content_encoding.strip()
        self._layers = [_LAYERS[coding]() for coding in self._codings] if known else []
        self._taken_in = [0] * len(self._layers)

    @property
    def complete(self) -> bool:
        """False where a compressed stream breaks off."""
        return all(layer.complete for layer in self._layers)

    def decode(self, data: bytes, limit: int) -> bytes:
        """At most `limit` decoded bytes of `data`; once the limit is reached, the rest is lost.

        Raises:
            Failure: `bad_response`, where the data is not what Content-Encoding says, or too much gives too little.
        """
        return self._through(0, data, limit) if self._layers else data[:limit]

    def finish(self, limit: int) -> bytes:
        """At most `limit` decoded bytes that were held back until all data was in.

        Raises:
            Failure: see `decode`.
        """
        parts: list[bytes] = []
        for place, layer in enumerate(self._layers):
            while limit > 0 and (piece := self._checked(place, layer.finish, min(limit, _STEP_BYTES))):
                parts.append(self._through(place + 1, piece, limit))
                limit -= len(parts[-1])
        return b"".join(parts)

    def _through(self, place: int, data: bytes, limit: int) -> bytes:
        """What comes out of the last layer when `data` goes into the one at `place`."""
        if place == len(self._layers):
            return data
        self._taken_in[place] += len(data)
        if self._taken_in[place] > MOST_INPUT_BYTES:
            message = f"More than {MOST_INPUT_BYTES} bytes of the compressed response body decode to next to nothing."
            raise Failure(ErrorType.BAD_RESPONSE, message)
        last = place + 1 == len(self._layers)
        parts: list[bytes] = []
        while limit > 0:
            decode = partial(self._layers[place].decode, data)
            piece = self._checked(place, decode, limit if last else _STEP_BYTES)
            if not piece:
                break
            data = b""
            parts.append(self._through(place + 1, piece, limit))
            limit -= len(parts[-1])
        return b"".join(parts)

    def _checked(self, place: int, decode: Callable[[int], bytes], limit: int) -> bytes:
        try:
            return decode(limit)
        except Broken:
            message = f"The response body is not valid {self._codings[place]}, though its Content-Encoding says so."
            raise Failure(ErrorType.BAD_RESPONSE, message) from None
