"""Asking an HTTP proxy for a connection to somewhere else (CONNECT; RFC 9110, section 9.3.6)."""

from __future__ import annotations

import re
import socket

from runs.outcome import ErrorType
from targets.egress_proxy import EgressProxy
from targets.request_spec import USER_AGENT
from worker.call import Call, Failure
from worker.failures import classify
from worker.response_text import printable

_MOST_HEAD_BYTES = 16_384
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: ([^\r\n]*))?\r?\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
# The proxy has understood and will not: asking again is of no use.
_REFUSALS = {
    403: "Allow it there, or take the schedule's target to somewhere that it allows.",
    407: "Put its user name and password into EGRESS_PROXY_URL.",
}


def open_tunnel(call: Call, sock: socket.socket, proxy: EgressProxy, destination: str) -> None:
    """Have the proxy at the other end of `sock` connect to `destination` (`host:port`). Takes no byte too many.

    Raises:
        Failure: `timeout`, `connection`, or `blocked` where the proxy does not want to.
    """
    lines = [f"CONNECT {destination} HTTP/1.1", f"Host: {destination}", f"User-Agent: {USER_AGENT}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    try:
        sock.settimeout(call.seconds_left())
        sock.sendall("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
        head, rest = _read_head(call, sock)
    except OSError as error:
        raise classify(error, call) from error
    status = _STATUS_LINE.match(head)
    if status is None or (rest and status[1].startswith(b"2")):
        raise Failure(ErrorType.CONNECTION, f"{call.host} did not answer as an HTTP proxy.")
    code, reason = int(status[1]), printable((status[2] or b"").decode("latin-1"))[:100]
    if not 200 <= code <= 299:
        said = f"{call.host} refused to connect to {destination}: {code} {reason}".strip()
        if code in _REFUSALS:
            raise Failure(ErrorType.BLOCKED, f"{said}. {_REFUSALS[code]}")
        raise Failure(ErrorType.CONNECTION, f"{said}.")


def _read_head(call: Call, sock: socket.socket) -> tuple[bytes, bytes]:
    """The proxy's answer up to the empty line, and what came after it in the same piece.

    A target speaks only when it was spoken to: there should be nothing.
    """
    head = b""
    while len(head) < _MOST_HEAD_BYTES:
        # Counted anew for each piece: a proxy that drips is late all the same.
        sock.settimeout(call.seconds_left())
        piece = sock.recv(4096)
        if not piece:
            raise Failure(ErrorType.CONNECTION, f"{call.host} closed the connection without answering.")
        head += piece
        if end := _HEAD_END.search(head):
            return head[: end.end()], head[end.end() :]
    raise Failure(ErrorType.CONNECTION, f"{call.host} did not answer as an HTTP proxy.")
