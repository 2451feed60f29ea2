"""One attempt on its way: its deadlines, the phase it is in, where its time went, and its right to send."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

from runs.outcome import ErrorType, Timings
from worker.watchdog import Watch, Watchdog


class Failure(Exception):
    """The attempt failed: an error class and one sentence for the user."""

    def __init__(self, error_type: ErrorType, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message


class Withheld(Exception):
    """`may_send` said no before the first byte left."""


class Phase(Enum):
    """What an attempt is waiting for; the value says what did not happen when it is late."""

    LOOKUP = "The look-up of {host} was not finished"
    CONNECT = "{host} did not accept a connection"
    TUNNEL = "{host} did not open a connection to the target"
    HANDSHAKE = "{host} did not finish the TLS handshake"
    SEND = "{host} did not take in the request"
    WAIT = "{host} did not answer"
    BODY = "{host} did not finish its response"


_CONNECTING = (Phase.LOOKUP, Phase.CONNECT, Phase.TUNNEL, Phase.HANDSHAKE)


@dataclass(slots=True)
class Call:
    """The state of one attempt; used by one thread. Limits are in seconds, moments on the monotonic clock."""

    timeout_seconds: float
    connect_timeout_seconds: float
    verify_tls: bool
    may_send: Callable[[], bool]
    watchdog: Watchdog
    started: float = field(default_factory=time.monotonic)
    phase: Phase = Phase.LOOKUP
    host: str = ""
    remote_ip: str | None = None
    answered: float | None = None
    expired: bool = False
    _sent: bool = False
    _hop_started: float = 0.0
    _spent: dict[Phase, float] = field(default_factory=dict)
    _watch: Watch | None = None

    def begin_hop(self, host: str) -> None:
        """Start on a request to `host`: the first, or one after a redirect. Each may take its time to connect."""
        self.host = host
        self.phase = Phase.LOOKUP
        self._hop_started = time.monotonic()
        if self._hop_started >= self.deadline:
            raise self.too_late()

    @property
    def deadline(self) -> float:
        """When the attempt must have ended."""
        return self.started + self.timeout_seconds

    @property
    def connect_deadline(self) -> float:
        """When this hop's connection must be ready for the request."""
        return min(self.deadline, self._hop_started + self.connect_timeout_seconds)

    def seconds_left(self) -> float:
        """Until the deadline of the phase.

        Raises:
            Failure: `timeout`, where it has passed.
        """
        end = self.connect_deadline if self.phase in _CONNECTING else self.deadline
        left = end - time.monotonic()
        if left <= 0:
            raise self.too_late()
        return left

    def too_late(self) -> Failure:
        """The time-out of the phase, in words that name the setting."""
        self.expired = True
        by_connect = self.phase in _CONNECTING and self.connect_deadline < self.deadline
        name = "connect_timeout_seconds" if by_connect else "timeout_seconds"
        limit = self.connect_timeout_seconds if by_connect else self.timeout_seconds
        what = self.phase.value.format(host=self.host)
        return Failure(ErrorType.TIMEOUT, f"{what} within {limit:g} s ({name}).")

    @contextmanager
    def timed(self, phase: Phase) -> Iterator[None]:
        """Enter a phase and add what it takes to the timings."""
        self.phase = phase
        began = time.monotonic()
        try:
            yield
        finally:
            self._spent[phase] = self._spent.get(phase, 0.0) + time.monotonic() - began

    def guard(self, sock: socket.socket) -> None:
        """Have `sock` shut down at the deadline."""
        self.unguard()
        self._watch = self.watchdog.watch(sock, self.deadline)

    @property
    def cut_off(self) -> bool:
        """Whether the guarded socket has been shut down."""
        return self._watch is not None and self._watch.fired

    def unguard(self) -> None:
        """Let go of the guarded socket. Sets `expired` where its time had come."""
        watch, self._watch = self._watch, None
        if watch is not None and self.watchdog.release(watch):
            self.expired = True

    def ask_to_send(self) -> None:
        """Called right before a request's first byte leaves.

        Raises:
            Withheld: this process may not send, and no byte has left yet.
            Failure: `worker_lost`, where an earlier request of the call has been sent.
        """
        if self.may_send():
            self._sent = True
            self.phase = Phase.SEND
        elif self._sent:
            message = "The worker lost its claim in the middle of the call; it sent nothing more."
            raise Failure(ErrorType.WORKER_LOST, message)
        else:
            raise Withheld

    def _connecting(self) -> float | None:
        tunnel = self._spent.get(Phase.TUNNEL)
        return self._spent.get(Phase.CONNECT) if tunnel is None else self._spent[Phase.CONNECT] + tunnel

    def timings(self) -> Timings:
        """Where the time went until now. Look-up, connect and TLS are sums over all hops; the first byte and the total
        count from the start of the attempt, the first byte being that of the last response."""
        now = time.monotonic()
        return Timings(
            dns_ms=_milliseconds(self._spent.get(Phase.LOOKUP)),
            connect_ms=_milliseconds(self._connecting()),
            tls_ms=_milliseconds(self._spent.get(Phase.HANDSHAKE)),
            ttfb_ms=_milliseconds(None if self.answered is None else self.answered - self.started),
            total_ms=_milliseconds(now - self.started),
        )


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
