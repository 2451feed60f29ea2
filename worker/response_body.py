"""Reading a response body: at most what is stored, whatever its compression, then no further (guarantee D6)."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Protocol

from runs.outcome import ErrorType
from worker.call import Failure
from worker.response_text import MAX_BODY_BYTES

_READ_BYTES = 16_384
# One byte more than is stored tells a body that ends there from one that goes on.
_ENOUGH = MAX_BODY_BYTES + 1
_ZLIB = zlib.MAX_WBITS
_GZIP = zlib.MAX_WBITS | 16
_RAW_DEFLATE = -zlib.MAX_WBITS


class Source(Protocol):
    """Where the bytes come from: urllib3's response."""

    def read1(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        """Up to `amt` bytes with at most one read from the socket; nothing at the end."""


class Decoder:
    """Undoes one content coding, bounded in what it gives out."""

    def __init__(self, coding: str) -> None:
        """`coding` is the value of Content-Encoding. One that was not asked for is left as it is."""
        self._coding = coding.strip().lower()
        self._inflate = self._new(_GZIP if self._coding in ("gzip", "x-gzip") else _ZLIB)
        # What the decoder has had, up to the two bytes that tell zlib from raw deflate.
        self._fed = b""
        self._finished = self._coding not in ("gzip", "x-gzip", "deflate")
        self.plain = self._finished

    @property
    def complete(self) -> bool:
        """False where the compressed stream breaks off."""
        return self._finished or not self._fed

    def decode(self, data: bytes, limit: int) -> bytes:
        """At most `limit` decoded bytes of `data`; the rest is dropped.

        Raises:
            Failure: `bad_response`, where the data is not what Content-Encoding says.
        """
        if self.plain:
            return data[:limit]
        parts: list[bytes] = []
        while data and limit > 0:
            if self._finished:
                # RFC 1952, section 2.2: members follow each other. What else follows is not ours to judge.
                if self._coding == "deflate" or data[:1] != b"\x1f":
                    break
                self._inflate, self._finished = self._new(_GZIP), False
            part = self._inflated(data, limit)
            parts.append(part)
            limit -= len(part)
            self._finished = self._inflate.eof
            data = self._inflate.unused_data if self._finished else self._inflate.unconsumed_tail
        return b"".join(parts)

    def _inflated(self, data: bytes, limit: int) -> bytes:
        before, self._fed = self._fed, (self._fed + data[:2])[:2]
        try:
            return self._inflate.decompress(data, limit)
        except zlib.error:
            if self._coding != "deflate" or len(before) == 2:
                message = f"The response body is not valid {self._coding}, though its Content-Encoding says so."
                raise Failure(ErrorType.BAD_RESPONSE, message) from None
        # Some servers send deflate without the zlib wrapper that RFC 9110, section 8.4.1.2, asks for.
        self._inflate = self._new(_RAW_DEFLATE)
        return self._inflated(before + data, limit)

    @staticmethod
    def _new(bits: int) -> zlib._Decompress:
        return zlib.decompressobj(bits)


class Body:
    """What has been read of a response body; filled by `read`, and usable after a failure in the middle of it."""

    def __init__(self) -> None:
        """Empty."""
        self._data = bytearray()
        self.wire_bytes = 0
        self.at_end = False

    @property
    def data(self) -> bytes:
        """The decoded bytes, as many as are stored."""
        return bytes(self._data[:MAX_BODY_BYTES])

    @property
    def truncated(self) -> bool:
        """Whether there was, or may have been, more than `data`."""
        return not self.at_end or len(self._data) > MAX_BODY_BYTES

    def read(self, source: Source, headers: Mapping[str, str], check_time: Callable[[], object]) -> None:
        """Read until the end or until there is enough, whichever comes first.

        `check_time` raises when the time is over: a body in tiny pieces takes long even when all of it is there.

        Raises:
            Failure: `bad_response` for a broken content coding. Whatever `source` and `check_time` raise passes.
        """
        decoder = Decoder(headers.get("content-encoding", ""))
        while len(self._data) < _ENOUGH:
            check_time()
            chunk = source.read1(_READ_BYTES, decode_content=False)
            if not chunk:
                self.at_end = True
                break
            self.wire_bytes += len(chunk)
            self._data += decoder.decode(chunk, _ENOUGH - len(self._data))
        if self.at_end and not decoder.complete:
            raise Failure(ErrorType.BAD_RESPONSE, "The compressed response body breaks off before its end.")
