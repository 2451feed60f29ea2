"""HTTP connections that are opened by the dialer, bounded in what they read, and kept for a moment after use."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException

from urllib3.connection import HTTPConnection

from worker.call import Call, Phase
from worker.dial import Dialer
from worker.failures import classify
from worker.request_head import request_message
from worker.response_head import BoundedResponse

# Short, so that a server's own limit (2 s and more) does not close a connection at the moment when it is used again.
IDLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Origin:
    """What a connection may be used for. `host` and `port` are those of the URL."""

    scheme: str
    host: str
    port: int
    verify_tls: bool


class GuardedConnection(HTTPConnection):
    """A connection that only the dialer opens and that asks before it sends."""

    tls = False

    def __init__(self, dialer: Dialer, host: str, port: int) -> None:
        """Not connected yet. `call` must be set before use."""
        super().__init__(host, port)
        self._dialer = dialer
        self._remote_ip: str | None = None
        self._method = ""
        self.call: Call
        self.idle_since = 0.0

    def connect(self) -> None:
        """Connect for the current call."""
        self.sock = self._dialer.open(self.call, self.host, self.port, tls=self.tls)
        self._remote_ip = self.call.remote_ip

    def request(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> None:  # type: ignore[override]
        """Connect where needed, put the request together, ask, and send it in one piece."""
        call = self.call
        if self.sock is None:
            self.connect()
        else:
            call.remote_ip = self._remote_ip
            call.guard(self.sock)
        self._method = method
        message = request_message(method, target, self._authority(), headers, body)
        call.ask_to_send()
        sock = self.sock
        assert sock is not None  # noqa: S101 - connect opens it or raises
        try:
            # The time-out is per write and per read, and only a second line behind the watchdog.
            sock.settimeout(call.timeout_seconds)
            sock.sendall(message)
        except OSError as error:
            # A target may answer before it has taken in the whole request: go on to read that.
            if not isinstance(error, BrokenPipeError | ConnectionResetError) or call.cut_off:
                raise self._failure(error) from error

    def getresponse(self) -> BoundedResponse:  # type: ignore[override]
        """Wait for the head of the response."""
        self.call.phase = Phase.WAIT
        assert self.sock is not None  # noqa: S101 - `request` has come first
        response = BoundedResponse(self.sock, method=self._method)
        try:
            response.begin()
        except (OSError, HTTPException) as error:
            response.close()
            raise self._failure(error) from error
        self.call.answered = time.monotonic()
        return response

    def _authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == self.default_port else f"{host}:{self.port}"

    def _failure(self, error: Exception) -> Exception:
        self.call.unguard()
        return classify(error, self.call)


class GuardedTLSConnection(GuardedConnection):
    """The same over TLS."""

    default_port = 443  # type: ignore[misc]
    tls = True


class IdleConnections:
    """Connections between two calls, a bounded number for a short time, shared by all threads."""

    def __init__(self, limit: int) -> None:
        """At most `limit` connections are kept."""
        self._limit = limit
        self._lock = threading.Lock()
        # Oldest first.
        self._kept: OrderedDict[GuardedConnection, Origin] = OrderedDict()
        self._by_origin: dict[Origin, list[GuardedConnection]] = {}
        self._closed = False

    def take(self, origin: Origin) -> GuardedConnection | None:
        """A connection to `origin` that has been silent since it was put here, or None."""
        while True:
            with self._lock:
                waiting = self._by_origin.get(origin)
                if not waiting:
                    return None
                connection = waiting[-1]
                self._drop(connection)
            fresh = time.monotonic() - connection.idle_since <= IDLE_SECONDS
            # Anything to read, the end included, means that the target is done with it.
            if fresh and connection.is_connected:
                return connection
            connection.close()

    def put(self, origin: Origin, connection: GuardedConnection) -> None:
        """Keep `connection` for the next call to `origin`; close those that nobody came for."""
        now = time.monotonic()
        connection.idle_since = now
        with self._lock:
            self._kept[connection] = origin
            self._by_origin.setdefault(origin, []).append(connection)
            leaving = self._leaving(now)
            for kept in leaving:
                self._drop(kept)
        for kept in leaving:
            kept.close()

    def close(self) -> None:
        """Close all of them, and from now on keep none."""
        with self._lock:
            self._closed = True
            kept = list(self._kept)
            self._kept.clear()
            self._by_origin.clear()
        for connection in kept:
            connection.close()

    def _leaving(self, now: float) -> list[GuardedConnection]:
        """The oldest ones: those beyond the limit and those kept for too long."""
        surplus = len(self._kept) if self._closed else len(self._kept) - self._limit
        leaving: list[GuardedConnection] = []
        for kept in self._kept:
            if len(leaving) >= surplus and now - kept.idle_since <= IDLE_SECONDS:
                break
            leaving.append(kept)
        return leaving

    def _drop(self, connection: GuardedConnection) -> None:
        origin = self._kept.pop(connection)
        waiting = self._by_origin[origin]
        waiting.remove(connection)
        if not waiting:
            del self._by_origin[origin]


class Answer:
    """A response on its connection, from its head on. Close it: read to its end, its connection can be used again."""

    def __init__(self, response: BoundedResponse, connection: GuardedConnection, pool: CallPool) -> None:
        """The connection is the answer's until it is closed."""
        self._response = response
        self._connection = connection
        self._pool = pool
        self._at_end = False
        self.status = response.status
        self.headers = response.fields

    def read1(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        """Up to `amt` bytes of the body as they came; nothing at its end. `decode_content` is for urllib3's readers."""
        data = self._response.read1(-1 if amt is None else amt)
        self._at_end = not data
        return data

    def close(self) -> None:
        """Give the connection back, or end it where something is left to read."""
        self._response.close()
        if self._response.will_close or not self._at_end:
            self._connection.close()
        self._pool._put_conn(self._connection)


class CallPool:
    """What requests asks for a connection: serves one request of one call."""

    def __init__(self, call: Call, origin: Origin, idle: IdleConnections, new: Callable[[], GuardedConnection]) -> None:
        """`new` makes an unconnected connection to `origin`."""
        self._call = call
        self._origin = origin
        self._idle = idle
        self._make = new

    def urlopen(self, *, method: str, url: str, body: bytes | None, headers: Mapping[str, str], **_: object) -> Answer:
        """Send the request, once, and read the head of its response. `url` is path and query.

        Raises:
            Failure: there is no response.
            Withheld: the call may not send.
        """
        connection = self._idle.take(self._origin) or self._make()
        connection.call = self._call
        try:
            connection.request(method, url, body, headers)
            return Answer(connection.getresponse(), connection, self)
        except BaseException:
            connection.close()
            self._put_conn(connection)
            raise

    def _put_conn(self, conn: GuardedConnection) -> None:
        # Let go of it first: this call's deadline must not end the next call's response.
        self._call.unguard()
        if conn.is_closed:
            return
        if self._call.expired:
            conn.close()
        else:
            self._idle.put(self._origin, conn)
