from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.worker.calls import LOOPBACK
from worker.call import Call
from worker.connections import IDLE_SECONDS, CallPool, GuardedConnection, IdleConnections, Origin
from worker.dial import Dialer
from worker.resolver import Resolver
from worker.watchdog import Watch, Watchdog

HERE = Origin("http", "127.0.0.1", 80, verify_tls=True)
UNVERIFIED = replace(HERE, verify_tls=False)
THERE = Origin("http", "127.0.0.2", 80, verify_tls=True)
DIALER = Dialer(LOOPBACK, Resolver(1), {})


class Wire:
    """Connections with a real socket each, whose other ends the test holds."""

    def __init__(self) -> None:
        self.ends: list[socket.socket] = []

    def connection(self) -> GuardedConnection:
        connection = GuardedConnection(DIALER, "127.0.0.1", 80)
        ours, theirs = socket.socketpair()
        connection.sock = ours
        self.ends += [ours, theirs]
        return connection


@pytest.fixture
def wire() -> Iterator[Wire]:
    wires = Wire()
    yield wires
    for end in wires.ends:
        end.close()


def test_the_latest_connection_is_taken_first(wire: Wire) -> None:
    idle = IdleConnections(5)
    first, second = wire.connection(), wire.connection()
    idle.put(HERE, first)
    idle.put(HERE, second)
    assert [idle.take(HERE), idle.take(HERE), idle.take(HERE)] == [second, first, None]
    first.close()
    second.close()


@pytest.mark.parametrize(
    "other",
    [THERE, Origin("https", "127.0.0.1", 80, verify_tls=True), Origin("http", "127.0.0.1", 80, verify_tls=False)],
)
def test_a_connection_serves_its_own_origin_only(wire: Wire, other: Origin) -> None:
    idle = IdleConnections(5)
    idle.put(HERE, wire.connection())
    assert idle.take(other) is None
    idle.close()


def test_beyond_the_limit_the_oldest_is_closed(wire: Wire) -> None:
    idle = IdleConnections(2)
    kept = [wire.connection() for _ in range(3)]
    for connection, origin in zip(kept, [HERE, THERE, HERE], strict=True):
        idle.put(origin, connection)
    assert [connection.is_closed for connection in kept] == [True, False, False]
    idle.close()


def test_one_that_nobody_came_for_is_closed(wire: Wire) -> None:
    idle = IdleConnections(5)
    first, second = wire.connection(), wire.connection()
    idle.put(HERE, first)
    first.idle_since -= 2 * IDLE_SECONDS
    idle.put(THERE, second)
    assert first.is_closed
    idle.close()


def test_one_that_is_too_old_is_not_taken(wire: Wire) -> None:
    idle = IdleConnections(5)
    connection = wire.connection()
    idle.put(HERE, connection)
    connection.idle_since -= 2 * IDLE_SECONDS
    assert idle.take(HERE) is None
    assert connection.is_closed


@pytest.mark.parametrize("sent", [b"", b"late words"])
def test_one_with_news_is_not_taken(wire: Wire, sent: bytes) -> None:
    idle = IdleConnections(5)
    connection = wire.connection()
    idle.put(HERE, connection)
    if sent:
        wire.ends[-1].send(sent)
    else:
        wire.ends[-1].close()
    assert idle.take(HERE) is None
    assert connection.is_closed


def test_none_is_kept_once_it_is_closed(wire: Wire) -> None:
    idle = IdleConnections(5)
    before, after = wire.connection(), wire.connection()
    idle.put(HERE, before)
    idle.close()
    idle.put(HERE, after)
    assert (before.is_closed, after.is_closed) == (True, True)


class CountingWatchdog(Watchdog):
    """Knows how many sockets it watches."""

    held = 0

    def watch(self, sock: socket.socket, deadline: float) -> Watch:
        self.held += 1
        return super().watch(sock, deadline)

    def release(self, entry: Watch) -> bool:
        self.held -= 1
        return super().release(entry)


def test_a_connection_is_given_back_without_its_calls_deadline(wire: Wire) -> None:
    watchdog = CountingWatchdog()
    held: list[int] = []

    class Witness(IdleConnections):
        def put(self, origin: Origin, connection: GuardedConnection) -> None:
            held.append(watchdog.held)
            super().put(origin, connection)

    idle = Witness(5)
    call = Call(
        timeout_seconds=60, connect_timeout_seconds=60, verify_tls=True, may_send=lambda: True, watchdog=watchdog
    )
    connection = wire.connection()
    assert connection.sock is not None
    call.guard(connection.sock)
    CallPool(call, HERE, idle, wire.connection)._put_conn(connection)
    assert held == [0]
    idle.close()
    watchdog.close()
