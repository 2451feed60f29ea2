"""A target in a process of its own that writes down every call: `python -m tests.chaos.logging_target LOG`.

Prints its port. Two lines of JSON per call: one when the request has arrived, one when its answer was given. The first
part of the path after /work is the time to answer in milliseconds. `GET /__fail?SECONDS` makes it answer 503 for that
long. Single-threaded and in asyncio: it must never be the slow part.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

BUSY = 503


@dataclass(slots=True)
class Request:
    """One request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class LoggingTarget:
    """Serves and writes down until it is killed."""

    def __init__(self, log: TextIO) -> None:
        self._log = log
        self._count = 0
        self._failing_until = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, any number of requests."""
        try:
            while (request := await read_request(reader)) is not None:
                await self._answer(request, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path.startswith("/__fail?"):
            self._failing_until = time.time() + float(request.path.partition("?")[2])
            await respond(writer, 200, request.method)
            return
        number = self._arrived(request)
        parts = request.path.split("/")
        await asyncio.sleep(float(parts[2]) / 1000 if parts[1] == "work" else 0)
        status = BUSY if time.time() < self._failing_until else 200
        try:
            await respond(writer, status, request.method)
        finally:
            self._write({"n": number, "ended": time.time(), "status": status})

    def _arrived(self, request: Request) -> int:
        self._count += 1
        headers = request.headers
        content = "\n".join((request.method, request.path)).encode() + b"\n" + request.body
        self._write(
            {
                "n": self._count,
                "key": headers.get("idempotency-key", ""),
                "run": headers.get("x-scheduler-run-id", ""),
                "attempt": int(headers.get("x-scheduler-attempt", "0")),
                "method": request.method,
                "digest": hashlib.sha256(content).hexdigest()[:16],
                "arrived": time.time(),
            }
        )
        return self._count

    def _write(self, record: dict[str, object]) -> None:
        self._log.write(json.dumps(record) + "\n")


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request, or None at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body)


async def respond(writer: asyncio.StreamWriter, status: int, method: str) -> None:
    """A small JSON answer."""
    body = b'{"ok": true}' if status == 200 else b'{"ok": false}'
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + (b"" if method == "HEAD" else body))
    await writer.drain()


async def main() -> None:
    """Serve on a free port of loopback."""
    # Line-buffered: whatever becomes of this process, what it has seen is on record.
    with Path(sys.argv[1]).open("w", buffering=1, encoding="utf-8") as log:
        server = await asyncio.start_server(LoggingTarget(log).serve, "127.0.0.1", 0, backlog=2048)
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
