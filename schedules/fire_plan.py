"""What becomes of a schedule's due ticks: which run, which are left out and why, and when it is due next.

One pure function, so that the whole policy can be read, and tested, in one place. The caller locks the schedule, plans,
inserts the Runs and stores `next_run_at` in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from schedules.recurrence import fires
from schedules.timing import Timing

MAX_RUNS_PER_PASS = 100
MAX_TICKS_PER_PASS = 10_000

Reason = Literal["", "overlap", "misfire", "coalesced"]


@dataclass(frozen=True, slots=True)
class FirePolicy:
    """The policies of a schedule and what the planner must know of its state.

    `catch_up` is latest, all or none; `overlap_policy` skip, allow or queue. `remaining_runs` is what `max_runs`
    leaves, None for no limit. `active_runs` counts its pending, running and retrying Runs. `jitter` is its offset.
    """

    catch_up: str
    misfire_grace_seconds: float
    overlap_policy: str
    remaining_runs: int | None
    active_runs: int
    jitter: timedelta
    poll_seconds: float


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One Run to insert. A skipped one answers for `missed_ticks` nominal times from `scheduled_at` on, for `reason`;
    a pending one has 0 there. A `queued` one waits until the Run before it has ended.
    """

    scheduled_at: datetime
    status: Literal["pending", "skipped"]
    reason: Reason = ""
    missed_ticks: int = 0
    queued: bool = False


@dataclass(frozen=True, slots=True)
class FirePlan:
    """The Runs of one pass in order of time, and the first nominal time not accounted for; None: the schedule ends."""

    runs: tuple[PlannedRun, ...]
    next_run_at: datetime | None


def plan_fires(timing: Timing, policy: FirePolicy, due: datetime, now: datetime) -> FirePlan:
    """Account for every nominal time from `due` (the first not accounted for) to `now`, within the limits of a pass.

    Ticks over the limit stay due: `next_run_at` is then not later than `now`, and the next pass goes on there.
    """
    ledger = _Ledger(policy, now)
    following = fires(timing, due)
    tick: datetime | None = due
    while tick is not None and tick <= now and ledger.has_room():
        later = next(following, None)
        ledger.account(tick, is_last=later is None or later > now)
        tick = later
    ledger.close_gap()
    return FirePlan(tuple(ledger.rows), None if ledger.is_spent() else tick)


@dataclass(slots=True)
class _Ledger:
    """The pass so far. Ticks come in order of time; those left out are gathered into gaps of one reason."""

    policy: FirePolicy
    now: datetime
    rows: list[PlannedRun] = field(default_factory=list)
    ticks: int = 0
    started: int = 0
    gap_start: datetime | None = None
    gap_reason: Reason = ""
    gap_ticks: int = 0

    def is_spent(self) -> bool:
        """`max_runs` is used up: later ticks, even due ones, are none of this schedule's."""
        return self.policy.remaining_runs is not None and self.started >= self.policy.remaining_runs

    def has_room(self) -> bool:
        """Whether another tick fits into this pass. Gaps lie ahead of all runs: the oldest ticks are the late ones."""
        return self.ticks < MAX_TICKS_PER_PASS and len(self.rows) < MAX_RUNS_PER_PASS and not self.is_spent()

    def account(self, tick: datetime, *, is_last: bool) -> None:
        """Enter one nominal time; `is_last`: no later one is due."""
        self.ticks += 1
        reason = self._reason_to_leave_out(tick, is_last=is_last)
        if not reason:
            self.close_gap()
            self._run(tick)
            return
        if reason != self.gap_reason:
            self.close_gap()
        if self.gap_start is None:
            self.gap_start, self.gap_reason = tick, reason
        self.gap_ticks += 1

    def close_gap(self) -> None:
        """Write the row for the gap that ends here, if there is one."""
        if self.gap_start is not None:
            self.rows.append(PlannedRun(self.gap_start, "skipped", self.gap_reason, self.gap_ticks))
        self.gap_start, self.gap_reason, self.gap_ticks = None, "", 0

    def _reason_to_leave_out(self, tick: datetime, *, is_last: bool) -> Reason:
        # Lateness counts from when the tick was meant to start. What the next look finds is never late.
        lateness = (self.now - tick - self.policy.jitter).total_seconds()
        prompt = 2 * self.policy.poll_seconds
        grace = 0 if self.policy.catch_up == "none" else self.policy.misfire_grace_seconds
        if lateness > max(grace, prompt):
            return "misfire"
        return "coalesced" if self.policy.catch_up == "latest" and not is_last else ""

    def _run(self, tick: datetime) -> None:
        """A Run for this tick, unless it would overlap."""
        ahead = self.policy.active_runs + self.started
        queued = self.policy.overlap_policy == "queue" and ahead == 1
        if ahead > 0 and self.policy.overlap_policy != "allow" and not queued:
            self.rows.append(PlannedRun(tick, "skipped", "overlap", 1))
            return
        self.rows.append(PlannedRun(tick, "pending", queued=queued))
        self.started += 1
