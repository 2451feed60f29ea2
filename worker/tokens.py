"""Access tokens of this process, kept until a minute before they expire. In memory only; never stored, never logged."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from runs.outcome import ErrorType
from targets.auth import ClientCredentials
from worker.call import Call, Failure
from worker.token_endpoint import AccessToken, no_token

MARGIN_SECONDS = 60.0
MOST_KEPT = 1000
Fetch = Callable[[ClientCredentials, Call], AccessToken]


@dataclass(slots=True)
class _Kept:
    value: str = field(repr=False)
    fresh_until: float


@dataclass(slots=True)
class _Flight:
    """One request to a token endpoint, and those who wait for it."""

    landed: threading.Event = field(default_factory=threading.Event)
    token: str | None = field(default=None, repr=False)
    failure: Failure | None = None


class Tokens:
    """Gives out tokens; of all calls that need the same one at a time, a single one asks for it. Thread-safe."""

    def __init__(self, fetch: Fetch, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`fetch` asks the token endpoint, within the time of the call that it is given."""
        self._fetch = fetch
        self._monotonic = monotonic
        self._lock = threading.Lock()
        # The one used longest ago first.
        self._kept: OrderedDict[ClientCredentials, _Kept] = OrderedDict()
        self._flights: dict[ClientCredentials, _Flight] = {}

    def get(self, credentials: ClientCredentials, call: Call, *, refused: str | None = None) -> str:
        """A token for the credentials; another one than `refused`, which the target has just turned down.

        Raises:
            Failure: there is none in time; the sentence names the token endpoint.
            worker.call.Withheld: this process may not send.
        """
        while True:
            with self._lock:
                kept = self._fresh(credentials)
                if kept is not None and kept != refused:
                    return kept
                flight = self._flights.get(credentials)
                leads = flight is None
                if flight is None:
                    flight = self._flights[credentials] = _Flight()
            if leads:
                return self._lead(flight, credentials, call)
            token = self._follow(flight, credentials, call)
            if token is not None:
                return token

    def _fresh(self, credentials: ClientCredentials) -> str | None:
        kept = self._kept.get(credentials)
        if kept is None or self._monotonic() >= kept.fresh_until:
            return None
        self._kept.move_to_end(credentials)
        return kept.value

    def _lead(self, flight: _Flight, credentials: ClientCredentials, call: Call) -> str:
        asked = self._monotonic()
        try:
            token = self._fetch(credentials, call)
            flight.token = token.value
        except Failure as failure:
            # Being late is this call's own: others may have more time.
            flight.failure = None if failure.error_type is ErrorType.TIMEOUT else failure
            raise
        finally:
            with self._lock:
                del self._flights[credentials]
                self._kept.pop(credentials, None)
                if flight.token is not None:
                    self._kept[credentials] = _Kept(flight.token, asked + token.seconds - MARGIN_SECONDS)
                    while len(self._kept) > MOST_KEPT:
                        self._kept.popitem(last=False)
            flight.landed.set()
        return token.value

    def _follow(self, flight: _Flight, credentials: ClientCredentials, call: Call) -> str | None:
        """What the flight brings, or None where it was broken off and somebody else has to lead."""
        if not flight.landed.wait(max(0.0, call.deadline - time.monotonic())):
            reason = f"it had not answered another call within {call.timeout_seconds:g} s (timeout_seconds)."
            raise no_token(credentials, ErrorType.TIMEOUT, reason)
        if flight.failure is not None:
            raise Failure(flight.failure.error_type, flight.failure.message)
        return flight.token
