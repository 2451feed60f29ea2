"""A real HTTP(S) server that records what it is sent and answers as its path says. Never leaves loopback.

    with RecordingTarget() as target:
        ... call target.url("/status/503") ...
        assert len(target.calls("/status/503")) == 1

By hand: `python -m tests.http_target --port 0` prints the address and serves until Ctrl-C; `GET /__calls` shows what it
was sent. Every path that is not in `tests.http_replies` answers 200 with a small JSON body, unless scripted with
`RecordingTarget.script`.
"""

from __future__ import annotations

import argparse
import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from tests.http_replies import REPLIES

LOG_PATH = "/__calls"


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it arrived. `headers` has lower-case names; `at` is on the monotonic clock."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    at: float
    connection: int
    host: str = ""

    @property
    def key(self) -> str:
        """Its idempotency key, or nothing."""
        return self.headers.get("idempotency-key", "")


class RecordingTarget:
    """A server on an ephemeral port of 127.0.0.1, from construction to `close`. Thread-safe."""

    def __init__(self, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Listens at once; `tls` makes it speak https only."""
        self._server = _Server(self, port)
        self._tls = tls
        self._calls: list[Call] = []
        self._scripts: dict[str, list[bytes]] = {}
        self._changed = threading.Condition()
        self.stopping = threading.Event()
        self.released = threading.Event()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """The URL of a path."""
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def script(self, path: str, *answers: bytes) -> None:
        """Answer calls of `path` with these raw bytes, one answer per call, the last one again and again."""
        with self._changed:
            self._scripts[path] = list(answers)

    def calls(self, path: str | None = None) -> list[Call]:
        """What has arrived so far, oldest first."""
        with self._changed:
            return [call for call in self._calls if path is None or call.path == path]

    def wait_for(self, count: int, *, path: str | None = None, seconds: float = 60) -> list[Call]:
        """Wait until `count` calls have arrived and return them all.

        Raises:
            AssertionError: they have not arrived in time.
        """
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self.calls(path)) >= count, timeout=seconds)
        calls = self.calls(path)
        assert enough, f"{len(calls)} of {count} calls arrived within {seconds} s"
        return calls

    def forget(self) -> None:
        """Drop the record."""
        with self._changed:
            self._calls.clear()

    def release(self) -> None:
        """Let calls of /held have their answer."""
        self.released.set()

    def close(self) -> None:
        """Stop listening and end the answers that are still being given."""
        self.stopping.set()
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def record(self, call: Call) -> bytes | None:
        """Remember a call; the scripted answer to it, if there is one."""
        with self._changed:
            self._calls.append(call)
            self._changed.notify_all()
            answers = self._scripts.get(call.path)
            if not answers:
                return None
            return answers.pop(0) if len(answers) > 1 else answers[0]

    def secure(self, connection: socket.socket) -> socket.socket:
        """The TLS side of a new connection."""
        return connection if self._tls is None else self._tls.wrap_socket(connection, server_side=True)

    def __enter__(self) -> RecordingTarget:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(self, target: RecordingTarget, port: int) -> None:
        self.target = target
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away in the middle are the daily bread of this server."""


class Handler(BaseHTTPRequestHandler):
    """One connection. Replies get it as their argument, with `call` set."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    call: Call

    def setup(self) -> None:
        """Do the TLS handshake in the connection's own thread: a stalled one must not stop the others."""
        self.request = self.target.secure(self.request)
        super().setup()

    def finish(self) -> None:
        """Close the connection; the server itself knows only the socket below the TLS one."""
        try:
            super().finish()
        finally:
            self.request.close()

    @property
    def target(self) -> RecordingTarget:
        """The server's owner."""
        return cast(_Server, self.server).target

    def __getattr__(self, name: str) -> Any:
        # http.server looks for do_GET, do_POST, ...: every method is answered in the same way.
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        query = dict(parse_qsl(parts.query))
        at, port = time.monotonic(), int(self.client_address[1])
        self.call = Call(self.command, parts.path, query, headers, body, at, port)
        if parts.path == LOG_PATH:
            self.reply_json([_as_json(call) for call in self.target.calls()])
            return
        scripted = self.target.record(self.call)
        if scripted is not None:
            self.send_raw(scripted)
            return
        reply = REPLIES.get("/" + parts.path.split("/")[1])
        if reply is None:
            self.reply_json({"ok": True})
        else:
            reply(self)

    def reply(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """A well-formed answer with its length."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)

    def reply_json(self, value: object, status: int = 200) -> None:
        """The same with a JSON body."""
        self.reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def send_raw(self, data: bytes) -> None:
        """Bytes as they are, then the end of the connection."""
        self.close_connection = True
        self.wfile.write(data)

    def drip(self, piece: bytes, *, every: float) -> None:
        """Send `piece` again and again until the client or the server has had enough."""
        self.close_connection = True
        while not self.target.stopping.wait(every):
            self.wfile.write(piece)

    def number(self, name: str, default: float) -> float:
        """A number from the query string."""
        return float(self.call.query.get(name, default))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silence: the record says it all."""


def _as_json(call: Call) -> dict[str, object]:
    return {
        "method": call.method,
        "path": call.path,
        "query": call.query,
        "headers": call.headers,
        "body": call.body.decode(errors="replace"),
        "at": call.at,
    }


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    with RecordingTarget(port=parser.parse_args().port) as target:
        sys.stdout.write(f"{target.url('').rstrip('/')}\n")
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
