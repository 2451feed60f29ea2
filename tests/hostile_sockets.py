"""Listeners on 127.0.0.1 that do not even speak HTTP. Each gives its port."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return port_of(listener)


def port_of(listener: socket.socket) -> int:
    """The port of a socket."""
    return int(listener.getsockname()[1])


@contextmanager
def never_accepting() -> Iterator[int]:
    """The kernel completes connections, but no one ever reads from them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield port_of(listener)


@contextmanager
def full_backlog(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Connections are not even completed: the queue of waiting ones is full."""
    with socket.create_server((host, port), backlog=0) as listener, ExitStack() as waiting:
        for _ in range(4):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.connect(listener.getsockname())
        yield port_of(listener)


@contextmanager
def speaking(serve: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """Every connection is given to `serve`, in a thread of its own, with an event that ends the test."""
    stopping = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            serve(connection, stopping)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield port_of(listener)
        stopping.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def drip_tls(connection: socket.socket, stopping: threading.Event) -> None:
    """Begin a handshake record of 16 KB and send it a byte at a time."""
    connection.recv(1024)
    connection.sendall(b"\x16\x03\x03\x40\x00")
    while not stopping.wait(0.05):
        connection.sendall(b"\x02")
