"""The heartbeat: keeps the worker's lease, and knows for how long the worker may trust it."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.db import Error, connection

from schedules.clock import database_now
from worker.complaints import Complaints
from worker.database_trouble import refresh_connection
from worker.models import ProcessKind
from worker.presence import deregister, register, renew

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Lease:
    """What the last heartbeats came to. Moments are monotonic; replaced as a whole, so any thread may read it."""

    worker_id: UUID
    trusted_until: float = NEVER
    last_beat: float = NEVER
    # Since when heartbeats have succeeded without an interruption.
    unbroken_since: float | None = None


class Heartbeat:
    """Renews the lease every third of it, in a thread with a connection of its own."""

    def __init__(self, *, lease_seconds: float, seats: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lease_seconds = lease_seconds
        self._interval = lease_seconds / 3
        self._seats = seats
        self._monotonic = monotonic
        self._registered = False
        self._draining = False
        self._complaints = Complaints(logger)
        self._stopped = threading.Event()
        self._soon = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        # A new id at each start: what an earlier process held is not ours.
        self.lease = Lease(worker_id=uuid.uuid4())

    @property
    def worker_id(self) -> UUID:
        """Under which Runs are claimed; changes when the row was lost."""
        return self.lease.worker_id

    def trusted(self, worker_id: UUID | None = None) -> bool:
        """Whether the lease is certainly still ours (guarantee G17): else claim nothing and send nothing.

        Args:
            worker_id: the id that a ticket was claimed under. What an earlier id claimed was given to others when its
                row was removed, however certain the lease of the present one is.
        """
        lease = self.lease
        return worker_id in (None, lease.worker_id) and self._monotonic() <= lease.trusted_until

    def may_rescue(self) -> bool:
        """Whether others' silence means their death, and not that the database was away (guarantee G16).

        Only after heartbeats have succeeded for a full lease, the last one recently: an outage long enough to end
        a live worker's lease is at least two thirds of a lease long, and leaves that gap in our own beats too.
        """
        lease, now = self.lease, self._monotonic()
        if lease.unbroken_since is None or self._is_gap(now - lease.last_beat):
            return False
        return now - lease.unbroken_since >= self._lease_seconds

    def seconds_since_beat(self) -> float:
        """Age of the last successful heartbeat; infinite before the first."""
        return self._monotonic() - self.lease.last_beat

    def start(self) -> bool:
        """Beat once, here, then go on in the thread. Says whether the first one succeeded."""
        beaten = self.beat()
        self._thread.start()
        return beaten

    def beat(self) -> bool:
        """Renew the lease, or register anew where the row is gone; whether it worked. Raises nothing."""
        # Anchored before the statement: the lease in the database then outlasts our trust in it.
        before = self._monotonic()
        try:
            refresh_connection()
            worker_id = self._renew()
        except Exception as error:
            # Whatever it is: without this thread the worker would fall silent for ever.
            connection.close()
            self._complaints.about("heartbeat", error)
            self.lease = Lease(self.lease.worker_id, self.lease.trusted_until, self.lease.last_beat)
            return False
        self._complaints.settled("heartbeat")
        self._note_success(worker_id, before)
        return True

    def drain(self) -> None:
        """Show from now on that this worker takes no more work."""
        self._draining = True
        self._soon.set()

    def stop(self, *, deregister_row: bool) -> None:
        """End the thread and, if asked, remove the row."""
        self._stopped.set()
        self._soon.set()
        if self._thread.is_alive():
            self._thread.join(timeout=self._interval)
        if not deregister_row:
            return
        try:
            deregister(worker_id=self.worker_id)
        except Error as error:
            self._complaints.about("deregister", error)

    def _renew(self) -> UUID:
        now = database_now()
        # Before the first registration as well: it may have been committed although its answer was lost.
        if renew(worker_id=self.worker_id, lease_seconds=self._lease_seconds, draining=self._draining, now=now):
            self._registered = True
            return self.worker_id
        worker_id = uuid.uuid4() if self._registered else self.worker_id
        register(
            worker_id=worker_id, kind=ProcessKind.WORKER, seats=self._seats, lease_seconds=self._lease_seconds, now=now
        )
        if self._registered:
            logger.warning(
                "this worker was declared dead; it goes on under a new id",
                extra={"action": "worker_reregistered", "worker": worker_id, "was": self.worker_id},
            )
        self._registered = True
        return worker_id

    def _note_success(self, worker_id: UUID, before: float) -> None:
        after = self._monotonic()
        since = self.lease.unbroken_since
        if since is None or self._is_gap(after - self.lease.last_beat):
            since = after
        self.lease = Lease(worker_id, before + self._lease_seconds, before, since)

    def _is_gap(self, silence: float) -> bool:
        return silence >= self._lease_seconds - self._interval

    def _run(self) -> None:
        pause = self._interval
        while True:
            self._soon.wait(pause)
            self._soon.clear()
            if self._stopped.is_set():
                break
            pause = self._interval if self.beat() else min(self._interval, RETRY_SECONDS)
        connection.close()
