"""Host names to addresses, within a deadline.

getaddrinfo can't be interrupted, so it runs in threads of its own that a caller stops waiting for. They are daemons:
a look-up that hangs must not keep the process from ending.
"""

from __future__ import annotations

import socket
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

# One part in so many of the threads is what the names of one site can take, look-ups that were given up included: a
# name server that never answers must not hold up everybody else's calls.
_SITES_SHARE = 4

# What getaddrinfo returns per address: family, type, protocol, canonical name, socket address.
AddressInfo = tuple[Any, Any, int, str, Any]
Lookup = Callable[[str, int], Sequence[AddressInfo]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address that a socket can connect to. `address` is in the form that `socket.connect` takes."""

    family: int
    address: tuple[Any, ...]

    @property
    def ip(self) -> str:
        """The IP address, without port; a zone id may follow."""
        return str(self.address[0])


@dataclass(frozen=True, slots=True)
class _Job:
    """A look-up that somebody waits for. `site` is who runs the name server, as far as a name tells."""

    host: str
    port: int
    site: str
    found: Future[Sequence[AddressInfo]]


class UnknownHost(Exception):
    """The name has no address. `temporary` where the resolver could not say (EAI_AGAIN, RFC 3493)."""

    def __init__(self, *, temporary: bool) -> None:
        super().__init__()
        self.temporary = temporary


def system_lookup(host: str, port: int) -> Sequence[AddressInfo]:
    """Ask the system's resolver: hosts file, DNS, whatever nsswitch says."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class Resolver:
    """A bounded pool of look-up threads, started as they are needed."""

    def __init__(self, threads: int, lookup: Lookup = system_lookup) -> None:
        """`threads` is the number of look-ups that may be under way at once, abandoned ones included."""
        self._limit = threads
        self._share = max(1, threads // _SITES_SHARE)
        self._lookup = lookup
        self._jobs: deque[_Job] = deque()
        self._under_way: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._started = 0
        self._waiting = 0
        self._closed = False

    def resolve(self, host: str, port: int, *, seconds: float) -> list[Endpoint]:
        """The addresses of `host`, in the resolver's order, each once. An IP literal needs no look-up.

        Raises:
            UnknownHost: there is no such name, or no answer about it.
            TimeoutError: no answer within `seconds`.
        """
        literal = _literal(host, port)
        if literal is not None:
            return [literal]
        job = self._submit(host, port)
        try:
            found = job.found.result(timeout=max(seconds, 0))
        except socket.gaierror as error:
            raise UnknownHost(temporary=error.errno == socket.EAI_AGAIN) from None
        except UnicodeError:
            raise UnknownHost(temporary=False) from None
        finally:
            # One that no thread has begun is dropped; one under way is left to end unheard.
            if job.found.cancel():
                self._drop(job)
        endpoints = dict.fromkeys(Endpoint(info[0], info[4]) for info in found)
        if not endpoints:
            raise UnknownHost(temporary=False)
        return list(endpoints)

    def close(self) -> None:
        """Let the idle threads end. A look-up asked for later ends in its time-out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _submit(self, host: str, port: int) -> _Job:
        job = _Job(host, port, ".".join(host.split(".")[-2:]), Future())
        with self._changed:
            self._jobs.append(job)
            self._changed.notify()
            if self._waiting < len(self._jobs) and self._started < self._limit:
                self._started += 1
                threading.Thread(target=self._work, name=f"resolver-{self._started}", daemon=True).start()
        return job

    def _drop(self, job: _Job) -> None:
        with self._changed, suppress(ValueError):
            self._jobs.remove(job)

    def _work(self) -> None:
        while (job := self._next()) is not None:
            if job.found.set_running_or_notify_cancel():
                try:
                    job.found.set_result(self._lookup(job.host, job.port))
                except Exception as error:
                    job.found.set_exception(error)
            with self._changed:
                # Whoever waits for this place is taken on by this thread, in its next round.
                self._under_way[job.site] -= 1
                if not self._under_way[job.site]:
                    del self._under_way[job.site]

    def _next(self) -> _Job | None:
        with self._changed:
            while (job := self._first_within_share()) is None:
                if self._closed:
                    return None
                self._waiting += 1
                self._changed.wait()
                self._waiting -= 1
            self._jobs.remove(job)
            self._under_way[job.site] += 1
            return job

    def _first_within_share(self) -> _Job | None:
        return next((job for job in self._jobs if self._under_way[job.site] < self._share), None)


def _literal(host: str, port: int) -> Endpoint | None:
    try:
        version = ip_address(host).version
    except ValueError:
        return None
    if version == 4:
        return Endpoint(socket.AF_INET, (host, port))
    return Endpoint(socket.AF_INET6, (host, port, 0, 0))
