"""The worker's loop: enqueue, claim, execute, record, rescue, maintain; then sleep until something is due."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from django.db import Error, connection

from runs.claim import claim_ready
from runs.enqueue import enqueue_due
from runs.next_moments import next_due_moments, next_ready_moments
from schedules.clock import database_now
from worker.cadence import Cadence
from worker.chores import Chore, Housekeeping
from worker.complaints import Complaints
from worker.config import RunMode, WorkerConfig
from worker.database_trouble import DatabaseTrouble, is_database_trouble, refresh_connection
from worker.dead_workers import rescue_dead_workers
from worker.heartbeat import Heartbeat
from worker.lost_claims import hand_back_lost_claims
from worker.next_wake import seconds_to_sleep
from worker.pool import Caller, Pool
from worker.recorder import Recorder
from worker.seats import Seats
from worker.shutdown import StopSignals
from worker.tick import Tick
from worker.worker_clock import WorkerClock
from worker.worker_metrics import WorkerMetrics

__all__ = ("Tick", "Worker")

logger = logging.getLogger(__name__)

RESCUE_BATCH = 100
# A result waits this long at most for others to be written with, and at most four times as long as a tick takes:
# under load the loop then spends a fifth of its time on the database, and the calls have the rest.
LONGEST_LINGER_SECONDS = 0.1
LINGER_PER_TICK = 4


class Worker:
    """One worker process. The loop's thread does all database work of the ticks; pool threads only make calls."""

    def __init__(
        self,
        config: WorkerConfig,
        *,
        executor: Caller,
        chores: Sequence[Chore] = (),
        monotonic: Callable[[], float] = time.monotonic,
        read_clock: Callable[[], datetime] = database_now,
    ) -> None:
        self.config = config
        self.clock = WorkerClock(monotonic=monotonic, read=read_clock)
        self.seats = Seats(config.seats, per_host=config.calls_per_host)
        self.heartbeat = Heartbeat(lease_seconds=config.lease_seconds, seats=config.seats, monotonic=monotonic)
        self.pool = Pool(executor=executor, seats=self.seats, may_send=self.heartbeat.trusted, monotonic=monotonic)
        self.recorder = Recorder(self.clock)
        self.stop = StopSignals(wake=self.pool.wake, monotonic=monotonic)
        self.metrics = WorkerMetrics()
        self.metrics.watch(
            seats=config.seats,
            seats_busy=lambda: config.seats - self.seats.free(),
            results_held=lambda: len(self.recorder),
            heartbeat_age=self.heartbeat.seconds_since_beat,
        )
        self._monotonic = monotonic
        self._rescue_cadence = Cadence(config.heartbeat_seconds, monotonic=monotonic)
        self._housekeeping = Housekeeping(chores, seconds=config.heartbeat_seconds, monotonic=monotonic)
        self._trouble = DatabaseTrouble()
        self._complaints = Complaints(logger)
        self._unsure_since: datetime | None = None
        self._might_claim = True
        self._linger = 0.0
        self._more_ready = False  # the last claim took every free seat
        self._failed = False

    def tick(self, now: datetime) -> Tick:
        """One pass. A step that fails is logged and counts as having found nothing; the others go on.

        Args:
            now: the database's time.

        Raises:
            django.db.Error: the database can't work now. Nothing is lost: what was committed is, the rest is retried.
        """
        self.clock.anchor(now)
        # Runs that wait for seats take those that are free now: their calls go on while the rest is done.
        waiting = self._more_ready
        enqueued = 0 if waiting else self._step("enqueue", lambda: self._enqueue(now))
        claimed = self._step("claim", lambda: self._claim_and_execute(now))
        recorded = self._step("record", lambda: self._record(now))
        if waiting:
            enqueued = self._step("enqueue", lambda: self._enqueue(now))
        rescued = self._step("rescue", lambda: self._rescue(now))
        maintained = self._step("maintain", lambda: self._housekeeping.work(now))
        return Tick(enqueued, claimed, recorded, rescued, maintained)

    def run(self) -> int:
        """Tick until a signal comes or the mode says that it is done; the process's exit code."""
        registered = self.heartbeat.start()
        self._say_started()
        if not registered and self.config.mode is not RunMode.FOREVER:
            self.stop.request()
            self._failed = True
        while not self.stop.requested:
            seconds = self._cycle()
            if seconds is None:
                break
            self._listen(seconds)
        return self._wind_down()

    # --- The steps ------------------------------------------------------------------------------------------

    def _step(self, name: str, work: Callable[[], int]) -> int:
        try:
            found = work()
        except Exception as error:
            if is_database_trouble(error):
                raise
            self._failed = True
            self.metrics.step_errors.inc()
            self._complaints.about(name, error)
            return 0
        self._complaints.settled(name)
        return found

    def _enqueue(self, now: datetime) -> int:
        return enqueue_due(now, poll_seconds=self.config.poll_seconds)

    def _claim_and_execute(self, now: datetime) -> int:
        # Without a certain lease nothing may be sent; results that can't be written must not pile up.
        self._might_claim = self.heartbeat.trusted() and len(self.recorder) <= self.config.seats
        if self.stop.requested or not self._might_claim:
            return 0
        worker_id = self.heartbeat.worker_id
        if self._unsure_since is not None:
            known = self.pool.in_flight() | self.recorder.held()
            hand_back_lost_claims(worker_id=worker_id, known=known, since=self._unsure_since, now=now)
        self._unsure_since = now
        free = self.seats.free()
        tickets = claim_ready(now=now, worker_id=worker_id, seats=self.seats)
        self._unsure_since = None
        for ticket in tickets:
            self.pool.submit(ticket)
        if free:
            self._more_ready = len(tickets) >= free
        return len(tickets)

    def _record(self, now: datetime) -> int:
        self.recorder.keep(self.pool.collect(timeout=0))
        return self.recorder.write(now)

    def _rescue(self, now: datetime) -> int:
        if not self._rescue_cadence.due():
            return 0
        self._rescue_cadence.restart()
        if not self.heartbeat.may_rescue():
            return 0
        resolved = rescue_dead_workers(now=now, limit=RESCUE_BATCH)
        if resolved >= RESCUE_BATCH:
            self._rescue_cadence.restart(0)
        return resolved

    # --- Between ticks --------------------------------------------------------------------------------------

    def _cycle(self) -> float | None:
        """One tick with the database's time; seconds to sleep after it, or None when it was the last."""
        started = self._monotonic()
        try:
            refresh_connection()
            now = self.clock.read()
            if self._trouble.lasting:
                # What has waited through the trouble goes first, whichever step it was that failed.
                self._step("record", lambda: self._record(now))
            tick = self.tick(now)
            moments = self._next_moments()
        except Error as error:
            self.metrics.database_errors.inc()
            pause = self._trouble.met(error)
            if pause and self.config.mode is not RunMode.FOREVER:
                self._failed = True
                return None
            return pause
        self._trouble.over()
        took = self._monotonic() - started
        self._linger = min(LONGEST_LINGER_SECONDS, LINGER_PER_TICK * took)
        self._count(tick, took)
        if self._is_last(tick, now, moments):
            return None
        idle_drain = self.config.mode is RunMode.DRAIN and self._might_claim and not self.pool.in_flight()
        bounds = (
            0.0 if idle_drain else self.config.poll_seconds,
            self._rescue_cadence.seconds_left(),
            self._housekeeping.seconds_left(),
        )
        return seconds_to_sleep(moments, seen_at=now, now=self.clock.now(), found_work=tick.found_work, at_most=bounds)

    def _next_moments(self) -> list[datetime]:
        """When the next schedule is due, and when the next Run that this process could take is ready."""
        moments = next_due_moments()
        if self.seats.free() and self.heartbeat.trusted():
            moments += next_ready_moments(self.seats.full_targets())
        return moments

    def _is_last(self, tick: Tick, now: datetime, moments: Sequence[datetime]) -> bool:
        if not self._might_claim:
            # A stall longer than the lease: what is due still waits, and the next heartbeat brings the right back.
            return False
        if self.config.mode is RunMode.DRAIN:
            return not (tick.found_work or self.pool.in_flight() or any(moment <= now for moment in moments))
        return self.config.mode is RunMode.ONCE

    def _listen(self, seconds: float) -> None:
        """Sleep, but not longer than finished calls may wait, and not past a signal."""
        until = self._monotonic() + seconds
        while (left := until - self._monotonic()) > 0 and not self.stop.requested:
            self.recorder.keep(self.pool.collect(timeout=left))
            oldest = self.recorder.oldest_completed()
            if oldest is None or self._trouble.lasting:
                continue
            # Nothing to wait for, or enough for a batch: its seats are free and could be at work again.
            if not self.pool.in_flight() or 2 * len(self.recorder) >= self.config.seats:
                return
            until = min(until, oldest + self._linger)

    # --- The end --------------------------------------------------------------------------------------------

    def _wind_down(self) -> int:
        """Claim nothing more, let the calls end, write their results, leave. The process's exit code."""
        self.heartbeat.drain()
        self._finish_calls()
        cut_off, unwritten = len(self.pool.in_flight()), len(self.recorder)
        # A row that stays keeps the Runs that are cut off from being sent again while this process still ends.
        self.heartbeat.stop(deregister_row=not cut_off and not unwritten)
        self.pool.close()
        connection.close()
        logger.info(
            "worker %s stopped",
            str(self.heartbeat.worker_id)[:4],
            extra={
                "action": "worker_stopped",
                "worker": self.heartbeat.worker_id,
                "calls_cut_off": cut_off,
                "results_lost": unwritten,
            },
        )
        return 1 if unwritten or (self._failed and self.config.mode is not RunMode.FOREVER) else 0

    def _finish_calls(self) -> None:
        """Wait for the calls in flight; once a stop was asked for, no longer than the drain time."""
        while True:
            if self.stop.requested:
                self.recorder.keep(self.pool.withdraw())
            pause = self._write_finished()
            left = self._drain_seconds_left()
            if left <= 0 or not (self.pool.in_flight() or self.recorder):
                return
            self.recorder.keep(self.pool.collect(timeout=min(pause, left)))

    def _write_finished(self) -> float:
        try:
            now = self.clock.read()
            self.clock.anchor(now)
            self._step("record", lambda: self._record(now))
        except Error as error:
            return self._trouble.met(error)
        self._trouble.over()
        return self.config.poll_seconds

    def _drain_seconds_left(self) -> float:
        if self.stop.requested_at is None:
            return math.inf
        return self.stop.requested_at + self.config.drain_seconds - self._monotonic()

    def _count(self, tick: Tick, seconds: float) -> None:
        self.metrics.tick_seconds.observe(seconds)
        self.metrics.enqueued.inc(tick.enqueued)
        self.metrics.claimed.inc(tick.claimed)
        self.metrics.recorded.inc(tick.recorded)
        self.metrics.rescued.inc(tick.rescued)

    def _say_started(self) -> None:
        logger.info(
            "worker %s started: %d seats, polling every %g s, database %s",
            str(self.heartbeat.worker_id)[:4],
            self.config.seats,
            self.config.poll_seconds,
            connection.vendor,
            extra={"action": "worker_started", "worker": self.heartbeat.worker_id},
        )
