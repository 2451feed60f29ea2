"""Reading a response body: at most what is stored, whatever its compression, then no further (guarantee D6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from runs.outcome import ErrorType
from worker.call import Failure
from worker.content_coding import Decoder
from worker.response_text import MAX_BODY_BYTES

_READ_BYTES = 16_384
# One byte more than is stored tells a body that ends there from one that goes on.
_ENOUGH = MAX_BODY_BYTES + 1


class Source(Protocol):
    """Where the bytes come from: urllib3's response."""

    def read1(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        """Up to `amt` bytes with at most one read from the socket; nothing at the end."""


class Body:
    """What has been read of a response body; filled by `read`, and usable after a failure in the middle of it."""

    def __init__(self) -> None:
        """Empty."""
        self._data = bytearray()
        self.wire_bytes = 0
        self.at_end = False
        # The Content-Encoding that could not be undone, where there is anything in it.
        self.undecoded: str | None = None

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
                self._data += decoder.finish(_ENOUGH - len(self._data))
                break
            self.wire_bytes += len(chunk)
            self.undecoded = decoder.undecoded
            self._data += decoder.decode(chunk, _ENOUGH - len(self._data))
        if self.at_end and len(self._data) < _ENOUGH and not decoder.complete:
            raise Failure(ErrorType.BAD_RESPONSE, "The compressed response body breaks off before its end.")
