"""A small HTTP proxy that knows CONNECT only, on loopback. It records what it is asked, and does as it is told.

with ConnectProxy() as proxy:
    ... calls through proxy.url() ...
    assert proxy.asked == ["127.0.0.1:8080"]
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType

Serve = Callable[[socket.socket, threading.Event], None]


class ConnectProxy:
    """Listens on an ephemeral port of 127.0.0.1 from construction to `close`. Thread-safe."""

    def __init__(self, *, names: Mapping[str, str] | None = None, instead: Serve | None = None) -> None:
        """`names` are what it can look up, beside addresses; `instead` is what it does in place of connecting."""
        self._names = dict(names or {})
        self._instead = instead
        self._lock = threading.Lock()
        self._heads: list[str] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def url(self, credentials: str = "") -> str:
        """What EGRESS_PROXY_URL would be."""
        return f"http://{credentials}{'@' if credentials else ''}127.0.0.1:{self.port}"

    @property
    def heads(self) -> list[str]:
        """What it was sent up to the empty line, one text per request."""
        with self._lock:
            return list(self._heads)

    @property
    def asked(self) -> list[str]:
        """Where it was asked to connect to."""
        return [head.split(" ")[1] for head in self.heads]

    def close(self) -> None:
        """Stop listening, and end what is under way."""
        self.stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with self._lock:
                    self.connections += 1
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(4096)
                if not piece:
                    return
                head += piece
            with self._lock:
                self._heads.append(head.decode("latin-1"))
            if self._instead is not None:
                self._instead(client, self.stopping)
                return
            host, _, port = head.split(b" ")[1].decode().rpartition(":")
            with socket.create_connection((self._names.get(host, host.strip("[]")), int(port))) as target:
                client.sendall(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n")
                back = threading.Thread(target=_pump, args=(target, client), daemon=True)
                back.start()
                _pump(client, target)
                back.join()

    def __enter__(self) -> ConnectProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    # Its end is the other side's end.
    for side in (source, sink):
        with suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)
