"""Opening a connection: look up once, judge every address, connect only to one that was judged (guarantee D1)."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from runs.outcome import ErrorType
from targets.egress import EgressPolicy, check_port, judge_address, judge_unresolved
from targets.egress_proxy import EgressProxy
from worker.call import Call, Failure, Phase
from worker.failures import classify
from worker.own_address import is_own_address
from worker.resolver import Endpoint, Resolver, UnknownHost
from worker.tunnel import open_tunnel

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
        proxy = self._policy.proxy
        sock = self._direct(call, host, port) if proxy is None else self._proxied(call, proxy, host, port)
        if tls:
            sock = self._secure(call, sock, host)
        call.guard(sock)
        return sock

    def allowed(self, call: Call, host: str, port: int) -> list[Endpoint]:
        """Where a call for `host` may connect to: of several addresses those that are open.

        Raises:
            Failure: blocked, where none is; dns; timeout.
        """
        sentence = check_port(self._policy, port)
        if sentence is not None:
            raise Failure(ErrorType.BLOCKED, sentence)
        verdicts = [(endpoint, self._verdict(host, endpoint)) for endpoint in self._look_up(call, host, port)]
        allowed = [endpoint for endpoint, sentence in verdicts if sentence is None]
        if not allowed:
            raise Failure(ErrorType.BLOCKED, next(sentence for _, sentence in verdicts if sentence is not None))
        return allowed[:_MAX_ADDRESSES]

    def _verdict(self, host: str, endpoint: Endpoint) -> str | None:
        sentence = judge_address(self._policy, host, endpoint.ip)
        if sentence is None and is_own_address(endpoint):
            return judge_address(self._policy, host, endpoint.ip, own=True)
        return sentence

    def _look_up(self, call: Call, host: str, port: int) -> list[Endpoint]:
        with call.timed(Phase.LOOKUP):
            try:
                return self._resolver.resolve(host, port, seconds=call.seconds_left())
            except UnknownHost as error:
                told = "could not be looked up just now" if error.temporary else "is not known: no address for it"
                raise Failure(ErrorType.DNS, f"The host name {call.host} {told}.") from None
            except OSError as error:
                raise classify(error, call) from error

    def _direct(self, call: Call, host: str, port: int) -> socket.socket:
        endpoints = self.allowed(call, host, port)
        with call.timed(Phase.CONNECT):
            sock, endpoint = _connect_to_any(call, endpoints)
        call.remote_ip = _without_zone(endpoint)
        return sock

    def _proxied(self, call: Call, proxy: EgressProxy, host: str, port: int) -> socket.socket:
        """A connection to `host` that the proxy has made. The proxy's own address is the operator's choice."""
        if proxy.resolves:
            sentence = check_port(self._policy, port) or judge_unresolved(self._policy, host)
            if sentence is not None:
                raise Failure(ErrorType.BLOCKED, sentence)
            return self._tunnel(call, proxy, _authority(host, port))
        endpoints = self.allowed(call, host, port)
        for endpoint in endpoints:
            try:
                sock = self._tunnel(call, proxy, _authority(_without_zone(endpoint), port))
            except Failure as failure:
                if endpoint is endpoints[-1] or failure.error_type is not ErrorType.CONNECTION:
                    raise
            else:
                call.remote_ip = _without_zone(endpoint)
                return sock
        raise AssertionError("judged endpoints are never empty")

    def _tunnel(self, call: Call, proxy: EgressProxy, destination: str) -> socket.socket:
        with _speaking_to(call, f"{proxy.host} of EGRESS_PROXY_URL"):
            endpoints = self._look_up(call, proxy.host, proxy.port)[:_MAX_ADDRESSES]
        with _speaking_to(call, f"The proxy {proxy} (EGRESS_PROXY_URL)"):
            with call.timed(Phase.CONNECT):
                sock, _ = _connect_to_any(call, endpoints)
            try:
                with call.timed(Phase.TUNNEL):
                    open_tunnel(call, sock, proxy, destination)
            except BaseException:
                sock.close()
                raise
        return sock

    def _secure(self, call: Call, sock: socket.socket, host: str) -> socket.socket:
        with call.timed(Phase.HANDSHAKE):
            try:
                # The one time-out of a socket that is not per read: ssl counts the whole handshake against it.
                sock.settimeout(call.seconds_left())
                return self._contexts[call.verify_tls].wrap_socket(sock, server_hostname=host)
            except (Failure, OSError, ValueError) as error:
                sock.close()
                raise classify(error, call) from error


def _connect_to_any(call: Call, endpoints: Sequence[Endpoint]) -> tuple[socket.socket, Endpoint]:
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
            return sock, endpoint
    raise AssertionError("judged endpoints are never empty")


@contextmanager
def _speaking_to(call: Call, name: str) -> Iterator[None]:
    """Let failures name the proxy instead of the target."""
    host, call.host = call.host, name
    try:
        yield
    finally:
        call.host = host


def _without_zone(endpoint: Endpoint) -> str:
    return endpoint.ip.partition("%")[0]


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
