"""Reading what comes before and after a response body: bounded, strict, interim answers skipped (guarantee D6)."""

from __future__ import annotations

import http.client
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import BadStatusLine, HTTPException, IncompleteRead, LineTooLong, RemoteDisconnected

from worker.failures import SwitchedProtocols, UnknownTransferCoding
from worker.header_fields import HeaderFields, read_fields

# All lines before the body, interim responses included, and those after it. http.client alone would take 100 lines of
# 64 KB, and any number of short ones in interim responses and trailers: too many to parse in time.
MAX_HEAD_BYTES = 262_144
MAX_HEAD_LINES = 500
_LONGEST_LINE = 65_536
# RFC 9112, section 4, and what is common beside it: no reason, or not even the space before one.
_STATUS_LINE = re.compile(r"(HTTP/1\.[0-9]) ([1-9][0-9]{2})(?: ([^\r\n]*))?\r?\n", re.ASCII)
_LENGTH = re.compile(r"[0-9]{1,100}", re.ASCII)
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,16})[ \t]*(?:;.*)?\r?\n", re.DOTALL)


class _HeadReader:
    """Stands in for the socket's reader while header lines are read; runs out after MAX_HEAD_BYTES or MAX_HEAD_LINES.

    http.client takes the end of the connection for the end of the head: here a head that breaks off is an error.
    """

    def __init__(self, reader: io.BufferedIOBase, *, trailer: bool) -> None:
        self._reader = reader
        self._trailer = trailer
        self._room = MAX_HEAD_BYTES
        self._lines = 0

    def readline(self, limit: int) -> bytes:
        line = self._reader.readline(limit)
        self._room -= len(line)
        self._lines += 1
        if self._lines > MAX_HEAD_LINES:
            raise HTTPException
        if self._room < 0 or len(line) == limit:
            raise LineTooLong("response head")
        if not line.endswith(b"\n") and (line or self._lines > 1):
            if self._lines == 1 and not self._trailer and not line.startswith(b"HTTP/"):
                raise BadStatusLine(line.decode("latin-1"))
            raise IncompleteRead(line)
        return line

    def close(self) -> None:
        self._reader.close()


class BoundedResponse(http.client.HTTPResponse):
    """A response with a bounded head and trailer, whose interim answers (1xx) are skipped."""

    fields: HeaderFields

    def begin(self) -> None:
        """Read the head of the final response, and settle how its body ends (RFC 9112, section 6.3)."""
        with self._bounded(trailer=False):
            version, self.status, self.reason = self._read_status()
            self.fields = read_fields(self.fp.readline)
        # What http.client goes on with.
        self.code = self.status
        self.headers = self.msg = self.fields  # type: ignore[assignment]
        self.version = 10 if version == "HTTP/1.0" else 11
        self.chunked = self._is_chunked()
        self.chunk_left = None
        self.length = None if self.chunked else _announced_length(self.fields.get("content-length"))
        if self.status in (204, 304) or self._method == "HEAD":  # type: ignore[attr-defined]
            self.length = 0
        endless = not self.chunked and self.length is None
        self.will_close = endless or self._check_close()  # type: ignore[attr-defined]

    def _is_chunked(self) -> bool:
        chunked = False
        for coding in self.fields.get("transfer-encoding", "identity").lower().split(","):
            # What http.client does not know it would take for the body itself; and nobody chunks twice.
            if coding.strip() not in ("chunked", "identity") or chunked:
                raise UnknownTransferCoding
            chunked = coding.strip() == "chunked"
        return chunked

    def read1(self, n: int = -1) -> bytes:
        """At most `n` bytes of the body with at most one read from the socket; nothing at its end.

        Raises:
            IncompleteRead: the connection ended before the body did.
        """
        data = super().read1(n)
        if not data and self.length and self._method != "HEAD":  # type: ignore[attr-defined]
            raise IncompleteRead(b"", self.length)
        return data

    def _read_and_discard_trailer(self) -> None:
        with self._bounded(trailer=True):
            super()._read_and_discard_trailer()  # type: ignore[misc]

    @contextmanager
    def _bounded(self, *, trailer: bool) -> Iterator[None]:
        reader = self.fp
        self.fp = _HeadReader(reader, trailer=trailer)  # type: ignore[assignment]
        try:
            yield
        finally:
            # None where http.client has closed it.
            if self.fp is not None:
                self.fp = reader

    def _read_status(self) -> tuple[str, int, str]:
        # http.client takes +200 and 2_00 for numbers, and skips 100 only: 102, 103 and whatever comes are interim as
        # well (RFC 9110, section 15.2).
        while True:
            line = self.fp.readline(_LONGEST_LINE + 1).decode("latin-1")
            if not line:
                raise RemoteDisconnected("")
            found = _STATUS_LINE.fullmatch(line)
            if found is None:
                raise BadStatusLine(line)
            status = int(found[2])
            if status == 101:
                raise SwitchedProtocols
            if status >= 200:
                return found[1], status, found[3] or ""
            read_fields(self.fp.readline)

    def _read_next_chunk_size(self) -> int:
        line = self.fp.readline(_LONGEST_LINE + 1)
        if len(line) > _LONGEST_LINE:
            raise LineTooLong("chunk size")
        found = _CHUNK_SIZE.fullmatch(line)
        if found is None:
            # As http.client does where there is no number at all.
            self._close_conn()  # type: ignore[attr-defined]
            raise IncompleteRead(line)
        return int(found[1], 16)


def _announced_length(value: str | None) -> int | None:
    """Content-Length, None where it says nothing; repeated, it must say the same (RFC 9112, section 6.3, rule 5)."""
    if value is None:
        return None
    lengths = {length.strip() for length in value.split(",")}
    if len(lengths) > 1:
        raise HTTPException
    length = lengths.pop()
    # Nonsense is as good as nothing, as http.client has it: the end of the connection is the end of the body.
    return int(length) if _LENGTH.fullmatch(length) else None
