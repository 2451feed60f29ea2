"""Opening a connection: look up once, judge every address, connect only to one that was judged (guarantee D1)."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence

from runs.outcome import ErrorType
from targets.egress import EgressPolicy, check_port, judge_address
from worker.call import Call, Failure, Phase
from worker.failures import classify
from worker.resolver import Endpoint, Resolver, UnknownHost

# A name with more addresses than this gets no more tries.
_MAX_ADDRESSES = 8


class Dialer:
    """Gives out connected sockets to addresses that the policy allows."""

    def __init__(self, policy: EgressPolicy, resolver: Resolver, contexts: dict[bool, ssl.SSLContext]) -> None:
        """`contexts` has the TLS settings with (True) and without (False) certificate check."""
        self._policy = policy
        self._resolver = resolver
        self._contexts = contexts

    def open(self, call: Call, host: str, port: int, *, tls: bool) -> socket.socket:
        """A socket connected to `host`, guarded until the call's deadline, TLS done.

        Raises:
            Failure: blocked, dns, timeout, connection or ssl.
        """
        sentence = check_port(self._policy, port)
        if sentence is not None:
            raise Failure(ErrorType.BLOCKED, sentence)
        allowed = self._judged(host, self._look_up(call, host, port))
        with call.timed(Phase.CONNECT):
            sock = _connect_to_any(call, allowed)
        if tls:
            sock = self._secure(call, sock, host)
        call.guard(sock)
        return sock

    def _look_up(self, call: Call, host: str, port: int) -> list[Endpoint]:
        with call.timed(Phase.LOOKUP):
            try:
                return self._resolver.resolve(host, port, seconds=call.seconds_left())
            except UnknownHost as error:
                told = "could not be looked up just now" if error.temporary else "is not known: no address for it"
                raise Failure(ErrorType.DNS, f"The host name {host} {told}.") from None
            except OSError as error:
                raise classify(error, call) from error

    def _judged(self, host: str, endpoints: Sequence[Endpoint]) -> list[Endpoint]:
        """The endpoints that may be connected to."""
        verdicts = [(endpoint, judge_address(self._policy, host, endpoint.ip)) for endpoint in endpoints]
        allowed = [endpoint for endpoint, sentence in verdicts if sentence is None]
        if not allowed:
            raise Failure(ErrorType.BLOCKED, next(sentence for _, sentence in verdicts if sentence is not None))
        return allowed[:_MAX_ADDRESSES]

    def _secure(self, call: Call, sock: socket.socket, host: str) -> socket.socket:
        with call.timed(Phase.HANDSHAKE):
            try:
                # The one time-out of a socket that is not per read: ssl counts the whole handshake against it.
                sock.settimeout(call.seconds_left())
                return self._contexts[call.verify_tls].wrap_socket(sock, server_hostname=host)
            except (Failure, OSError, ValueError) as error:
                sock.close()
                raise classify(error, call) from error


def _connect_to_any(call: Call, endpoints: Sequence[Endpoint]) -> socket.socket:
    """Try one address after the other; the last one's error is the call's."""
    for position, endpoint in enumerate(endpoints):
        left = call.seconds_left()
        sock = None
        try:
            sock = socket.socket(endpoint.family, socket.SOCK_STREAM)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # A silent address must leave time for those after it.
            sock.settimeout(left / (len(endpoints) - position))
            sock.connect(endpoint.address)
        except OSError as error:
            if sock is not None:
                sock.close()
            if position + 1 == len(endpoints):
                raise classify(error, call) from error
        else:
            call.remote_ip = endpoint.ip.partition("%")[0]
            return sock
    raise AssertionError("judged endpoints are never empty")
