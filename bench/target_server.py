"""The server that benchmarks call: answers at once (or after a delay), costs little, and remembers who called.

    python -m bench.target_server [--ports 8] [--delay-ms 50] [--body-bytes 20480] [--certificate FILE --addresses ...]

It prints one line of JSON, `{"ports": [...], "control": port}`, and serves until it is killed. One thread waits for all
sockets with epoll: a call costs a receive, a search for its key and a send, so that the machine is left to whom it
belongs. Every port is one target. On the control port, `GET /calls` answers one line per call, "key arrival-time",
oldest first ("-" where the call had no Idempotency-Key), `GET /count` how many there were, `GET /forget` drops them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import select
import socket
import ssl
import time
from collections import deque

KEY = b"Idempotency-Key: "
KEY_LENGTH = 36
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")
HEAD_END = b"\r\n\r\n"
RECEIVE_BYTES = 65536
BACKLOG = 4096


class CallLog:
    """Who called and when (seconds since the epoch), in the order of arrival."""

    def __init__(self) -> None:
        self.calls: list[tuple[bytes, float]] = []

    def note(self, request: bytes) -> None:
        """Remember one request."""
        at = request.find(KEY)
        key = b"-" if at < 0 else request[at + len(KEY) : at + len(KEY) + KEY_LENGTH]
        self.calls.append((key, time.time()))

    def answer(self, request: bytes) -> bytes:
        """What the control port says to a request."""
        if request.startswith(b"GET /forget"):
            self.calls = []
            return b""
        if request.startswith(b"GET /count"):
            return b"%d" % len(self.calls)
        return b"".join(b"%s %.6f\n" % call for call in self.calls)


def response(body: bytes) -> bytes:
    """A complete 200 answer."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + body


def json_body(size: int) -> bytes:
    """JSON of exactly `size` bytes (at least the smallest that says something)."""
    smallest = json.dumps({"ok": True, "data": ""}).encode()
    # Words rather than one letter: nobody's database compresses a real body to nothing.
    words = " ".join(f"{number * 2654435761 % 4294967296:08x}" for number in range(size // 9 + 1))
    return smallest[:-2] + words.encode()[: max(0, size - len(smallest))] + smallest[-2:]


def request_end(data: bytes) -> int:
    """Where the first request in `data` ends; 0 while it is incomplete."""
    head_end = data.find(HEAD_END)
    if head_end < 0:
        return 0
    end = head_end + len(HEAD_END)
    if not data.startswith((b"GET", b"HEAD", b"DELETE")):
        length = LENGTH.search(data, 0, end)
        end += int(length[1]) if length else 0
    return end if len(data) >= end else 0


class PlainServer:
    """All ports, one epoll."""

    def __init__(self, ports: int, *, reply: bytes, delay_seconds: float) -> None:
        self.log = CallLog()
        self._reply = reply
        self._delay = delay_seconds
        self._epoll = select.epoll()
        self._listeners = {listener.fileno(): listener for listener in (_listen() for _ in range(ports + 1))}
        self._control = max(self._listeners)
        self._connections: dict[int, socket.socket] = {}
        self._controls: set[int] = set()
        self._pieces: dict[int, bytes] = {}
        self._waiting: deque[tuple[float, socket.socket]] = deque()
        for number in self._listeners:
            self._epoll.register(number, select.EPOLLIN)
        numbers = [listener.getsockname()[1] for number, listener in self._listeners.items() if number != self._control]
        self.ports = {"ports": numbers, "control": self._listeners[self._control].getsockname()[1]}

    def serve(self) -> None:
        """For ever."""
        while True:
            wait = self._waiting[0][0] - time.monotonic() if self._waiting else None
            for number, _ in self._epoll.poll(None if wait is None else max(0.0, wait)):
                if number in self._listeners:
                    self._accept(number)
                else:
                    self._receive(number)
            while self._waiting and self._waiting[0][0] <= time.monotonic():
                _send(self._waiting.popleft()[1], self._reply)

    def _accept(self, number: int) -> None:
        try:
            while True:
                connection, _ = self._listeners[number].accept()
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connections[connection.fileno()] = connection
                if number == self._control:
                    self._controls.add(connection.fileno())
                self._epoll.register(connection.fileno(), select.EPOLLIN)
        except BlockingIOError:
            return

    def _receive(self, number: int) -> None:
        connection = self._connections[number]
        try:
            data = connection.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(number)
            return
        if number in self._pieces:
            data = self._pieces.pop(number) + data
        while data:
            end = request_end(data)
            if not end:
                self._pieces[number] = data
                return
            self._serve_one(number, connection, data[:end])
            data = data[end:]

    def _serve_one(self, number: int, connection: socket.socket, request: bytes) -> None:
        if number in self._controls:
            _send(connection, response(self.log.answer(request)))
            return
        self.log.note(request)
        if self._delay:
            self._waiting.append((time.monotonic() + self._delay, connection))
        else:
            _send(connection, self._reply)

    def _drop(self, number: int) -> None:
        self._epoll.unregister(number)
        self._connections.pop(number).close()
        self._controls.discard(number)
        self._pieces.pop(number, None)


def _listen() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    listener.setblocking(False)
    return listener


def _send(connection: socket.socket, data: bytes) -> None:
    """All of it; a client that has gone is no matter."""
    view = memoryview(data)
    while view:
        try:
            view = view[connection.send(view) :]
        except BlockingIOError:
            select.select([], [connection], [], 1)
        except OSError:
            return


async def serve_tls(addresses: list[str], certificate: str, reply: bytes) -> None:
    """One https port on each address, all with the same number; each address is a host of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    log = CallLog()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                log.note(await reader.readuntil(HEAD_END))
                writer.write(reply)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            writer.close()

    async def control(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(response(log.answer(await reader.readuntil(HEAD_END))))
        writer.close()

    first = await asyncio.start_server(talk, addresses[0], 0, ssl=context)
    port = first.sockets[0].getsockname()[1]
    others = [await asyncio.start_server(talk, address, port, ssl=context) for address in addresses[1:]]
    controller = await asyncio.start_server(control, "127.0.0.1", 0)
    print(json.dumps({"ports": [port], "control": controller.sockets[0].getsockname()[1]}), flush=True)
    await asyncio.gather(*(server.serve_forever() for server in (first, *others, controller)))


def main() -> None:
    """See the top of this file."""
    parser = argparse.ArgumentParser(description="The server that benchmarks call.")
    parser.add_argument("--ports", type=int, default=8, help="how many ports, each a target (default: 8)")
    parser.add_argument("--delay-ms", type=float, default=0, help="wait so long before each answer")
    parser.add_argument("--body-bytes", type=int, default=0, help="size of the answer's body (default: the smallest)")
    parser.add_argument("--certificate", help="PEM file with key and chain: speak https")
    parser.add_argument("--addresses", default="127.0.0.1", help="with --certificate: where to listen, with commas")
    options = parser.parse_args()
    reply = response(json_body(options.body_bytes))
    if options.certificate:
        asyncio.run(serve_tls(options.addresses.split(","), options.certificate, reply))
        return
    server = PlainServer(options.ports, reply=reply, delay_seconds=options.delay_ms / 1000)
    print(json.dumps(server.ports), flush=True)
    server.serve()


if __name__ == "__main__":
    main()
