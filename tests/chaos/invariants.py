"""What must hold whatever went wrong. Each takes the history and says what it looked at and what it found wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from uuid import UUID

from tests.chaos.history import ACTIVE, AttemptRow, CallSeen, History, RunRow, ScheduleRow

# Moments of one process come from its own monotonic clock laid over the database's: to a few milliseconds.
CLOCK_TOLERANCE = 0.02
# How far enqueue may be behind when the ticks stop, seconds after the last fault.
LONGEST_LAG = 5.0
HUNG_UP = ("timeout", "connection", "bad_response")


@dataclass(slots=True)
class Verdict:
    """One invariant's result; `checked` is how many things it looked at."""

    name: str
    checked: int = 0
    problems: list[str] = field(default_factory=list)
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether nothing wrong was found."""
        return not self.problems

    def look(self, right: object, problem: str) -> None:
        """Count one thing looked at."""
        self.checked += 1
        if not right:
            self.problems.append(problem)


def no_nominal_time_twice(history: History) -> Verdict:
    """G1. And the id says which it is: its time part is the nominal time, the rest the schedule's own."""
    verdict = Verdict("no nominal time has two runs")
    for schedule, runs in history.runs_of().items():
        counts = Counter(run.nominal for run in runs)
        for nominal, count in counts.items():
            verdict.look(count == 1, f"schedule {schedule} has {count} runs for {nominal}")
        for run in runs:
            verdict.look(UUID(run.id).int >> 80 == run.nominal, f"run {run.id} has not the id of {run.nominal}")
        tails = {UUID(run.id).int & (1 << 80) - 1 for run in runs}
        verdict.look(len(tails) <= 1, f"runs of schedule {schedule} have ids that don't derive from it")
    return verdict


def no_nominal_time_missing(history: History) -> Verdict:
    """G2, G3: every tick up to the stop has its Run, or is counted in a skipped one; all/allow leaves none out."""
    verdict = Verdict("no nominal time is missing")
    runs_of = history.runs_of()
    for schedule in history.schedules.values():
        expected = list(_grid(schedule, history))
        place = 0
        for run in runs_of[schedule.id]:
            if place >= len(expected) or run.nominal != expected[place]:
                due = expected[place] if place < len(expected) else "none"
                verdict.look(right=False, problem=f"schedule {schedule.id}: run for {run.nominal} where {due} was due")
                break
            left_out = run.status == "skipped" and schedule.overlap == "allow" and schedule.catch_up == "all"
            verdict.look(not left_out, f"run {run.id} was skipped ({run.reason}) although all must run")
            place += max(1, run.missed_ticks)
        verdict.look(place >= len(expected), f"schedule {schedule.id}: {len(expected) - place} ticks have no run")
        behind = history.stop - history.stopped_at.get(schedule.id, history.stop * 1000) / 1000
        verdict.look(behind < LONGEST_LAG, f"schedule {schedule.id} was {behind:.1f} s behind at the end")
        verdict.look(not schedule.last_error, f"schedule {schedule.id} was held back: {schedule.last_error}")
    return verdict


def _grid(schedule: ScheduleRow, history: History) -> Iterator[int]:
    if schedule.run_at is not None:
        yield schedule.run_at
    elif schedule.interval:
        step = schedule.interval * 1000
        yield from range(schedule.started + step, history.stopped_at.get(schedule.id, 0), step)


def none_stuck(history: History) -> Verdict:
    """Everything has ended: Runs, their attempts, and the rows of workers."""
    verdict = Verdict("no run and no attempt is stuck")
    for run in history.runs.values():
        verdict.look(run.status not in ACTIVE, f"run {run.id} is still {run.status}")
    for attempt in history.attempts.values():
        verdict.look(attempt.completed is not None, f"attempt {attempt.number} of {attempt.run} is still open")
    verdict.look(not history.workers_left, f"rows of ended workers are left: {', '.join(history.workers_left)}")
    return verdict


def attempts_have_no_holes(history: History) -> Verdict:
    """Numbers from 1 to the Run's count."""
    verdict = Verdict("attempts are numbered without holes")
    grouped = history.attempts_of()
    for run in history.runs.values():
        numbers = [attempt.number for attempt in grouped.get(run.id, [])]
        right = numbers == list(range(1, run.attempt_count + 1))
        verdict.look(right, f"run {run.id} counts {run.attempt_count} attempts and has {numbers}")
    return verdict


def one_attempt_at_a_time(history: History) -> Verdict:
    """G10: never two open at once; a target sees two only of a frozen worker, or of a caller that had hung up."""
    verdict = Verdict("no key is in flight twice at once")
    grouped = history.attempts_of()
    for run, attempts in grouped.items():
        for earlier, later in pairwise(attempts):
            right = earlier.completed is not None and later.started >= earlier.completed - CLOCK_TOLERANCE
            verdict.look(right, f"attempts {earlier.number} and {later.number} of run {run} were open at once")
    excused: Counter[str] = Counter()
    for key, calls in history.calls_of().items():
        rows = {attempt.number: attempt for attempt in grouped.get(key, [])}
        for earlier_call, later_call in pairwise(calls):
            if not _overlap(earlier_call, later_call):
                verdict.checked += 1
                continue
            reason = _excuse(rows.get(earlier_call.attempt), later_call)
            excused[reason] += 1
            verdict.look(reason, f"key {key}: calls {earlier_call.attempt} and {later_call.attempt} at the same time")
    verdict.note = ", ".join(f"{count} overlaps: {reason}" for reason, count in excused.items() if reason)
    return verdict


def _overlap(earlier: CallSeen, later: CallSeen) -> bool:
    return earlier.ended is None or later.arrived < earlier.ended


def _excuse(earlier: AttemptRow | None, later: CallSeen) -> str:
    if earlier is None:
        return ""
    if earlier.fenced:
        return "fenced"
    if earlier.error == "worker_lost":
        return "worker lost"
    if earlier.error in HUNG_UP and earlier.completed is not None:
        return "caller had hung up" if later.arrived >= earlier.completed - CLOCK_TOLERANCE else ""
    return ""


def one_success_at_most(history: History) -> Verdict:
    """G11: and the Run's final state is what its last attempt came to."""
    verdict = Verdict("no run has two unfenced successes")
    grouped = history.attempts_of()
    for run in history.runs.values():
        attempts = grouped.get(run.id, [])
        successes = [attempt for attempt in attempts if attempt.error == "none" and not attempt.fenced]
        verdict.look(len(successes) <= 1, f"run {run.id} has {len(successes)} unfenced successes")
        if attempts:
            problem = _wrong_end(run, attempts, history)
            verdict.look(not problem, f"run {run.id} {problem}")
    return verdict


def _wrong_end(run: RunRow, attempts: Sequence[AttemptRow], history: History) -> str:
    last = attempts[-1]
    wanted = "success" if last.error == "none" else "timeout" if last.error == "timeout" else "failed"
    if run.status != wanted or run.error != last.error:
        return f"is {run.status} ({run.error}), its last attempt {last.error}"
    if any(attempt.error == "none" for attempt in attempts[:-1]):
        return "was sent again after a success"
    if len(attempts) > 1 + history.schedules[run.schedule].max_retries:
        return "has more attempts than it may"
    return ""


def at_most_once_is_kept(history: History) -> Verdict:
    """G12: an orphan that must not be sent again has failed, and no target saw it again."""
    verdict = Verdict("at-most-once orphans are never sent again")
    calls_of = history.calls_of()
    for run, attempts in history.attempts_of().items():
        schedule = history.schedules[history.runs[run].schedule]
        lost = [attempt.number for attempt in attempts if attempt.error == "worker_lost"]
        if schedule.may_resend or not lost:
            continue
        verdict.look(attempts[-1].number == lost[0], f"run {run} went on after attempt {lost[0]} was lost")
        again = [call for call in calls_of.get(run, []) if call.attempt > lost[0]]
        verdict.look(not again, f"key {run} was sent again after attempt {lost[0]} was lost")
    return verdict


def every_call_is_known(history: History) -> Verdict:
    """G8, G9: the database has the attempt of each call that arrived; none arrived twice; answers agree."""
    verdict = Verdict("every call received is known, once")
    rows = {(attempt.run, attempt.number): attempt for attempt in history.attempts.values()}
    seen: Counter[tuple[str, int]] = Counter((call.key, call.attempt) for call in history.calls)
    for (key, number), count in seen.items():
        verdict.look((key, number) in rows, f"attempt {number} of key {key} arrived and is not in the database")
        verdict.look(count == 1, f"attempt {number} of key {key} arrived {count} times")
    answers = {(call.key, call.attempt): call for call in history.calls}
    for place, attempt in rows.items():
        if attempt.status is not None:
            call = answers.get(place)
            right = call is not None and call.status in (None, attempt.status)
            verdict.look(right, f"attempt {place[1]} of run {place[0]} records an answer that no target gave")
    return verdict


def bodies_never_change(history: History) -> Verdict:
    """The same method, address and body on every attempt, under the key that the header of the Run says."""
    verdict = Verdict("bodies are the same on every attempt")
    for key, calls in history.calls_of().items():
        verdict.look(len({call.digest for call in calls}) == 1, f"key {key} came with different requests")
        verdict.look(all(call.run == key for call in calls), f"key {key} is not the id of its run")
    return verdict


def overlap_policies_hold(history: History) -> Verdict:
    """G7: under skip and queue, a Run's first request arrives only after its predecessor has ended.

    `created_at` and `started_at` won't do: they are the moment at which a tick began, and its worker may have been
    frozen since.
    """
    verdict = Verdict("overlap policies skip and queue hold")
    runs_of, calls_of = history.runs_of(), history.calls_of()
    for schedule in history.schedules.values():
        if schedule.overlap == "allow":
            continue
        ran = [run for run in runs_of[schedule.id] if run.status != "skipped"]
        for earlier, later in pairwise(ran):
            ended = earlier.completed or history.stop
            for call in calls_of.get(later.id, [])[:1]:
                right = call.arrived >= ended - CLOCK_TOLERANCE
                verdict.look(right, f"run {later.id} began before {earlier.id} had ended ({schedule.overlap})")
    return verdict


def counters_agree(history: History) -> Verdict:
    """Counted in the transactions that they count: `run_count` and the rollups agree with the rows."""
    verdict = Verdict("counters agree with the rows")
    for schedule, runs in history.runs_of().items():
        ran = sum(run.status != "skipped" for run in runs)
        counted = history.schedules[schedule].run_count
        verdict.look(counted == ran, f"schedule {schedule} counts {counted} runs and has {ran}")
    ended = Counter(run.status for run in history.runs.values() if run.status not in ACTIVE)
    for status in ended.keys() | history.ended_by_status.keys():
        counted = history.ended_by_status.get(status, 0)
        verdict.look(counted == ended[status], f"{ended[status]} runs ended as {status}, {counted} were counted")
    return verdict


def only_the_dead_lose_runs(history: History) -> Verdict:
    """G16: whoever was neither killed nor frozen was never declared dead, however long the database was away."""
    verdict = Verdict("only killed or frozen workers lose runs")
    for attempt in history.attempts.values():
        lost = attempt.fenced or attempt.error == "worker_lost"
        right = not lost or attempt.worker in history.victims
        verdict.look(right, f"attempt {attempt.number} of run {attempt.run} was taken from a live worker")
    return verdict


INVARIANTS: tuple[Callable[[History], Verdict], ...] = (
    no_nominal_time_twice,
    no_nominal_time_missing,
    none_stuck,
    attempts_have_no_holes,
    one_attempt_at_a_time,
    one_success_at_most,
    at_most_once_is_kept,
    every_call_is_known,
    bodies_never_change,
    overlap_policies_hold,
    counters_agree,
    only_the_dead_lose_runs,
)
