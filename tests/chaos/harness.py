"""One run: set the stage, let the ticks and the faults come, stop the ticks, wait for the queue to empty, judge."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.chaos.history import History, active_runs, overdue_schedules, read_calls
from tests.chaos.invariants import INVARIANTS, Verdict
from tests.chaos.plan import SKEWS, Fault, end_of
from tests.chaos.processes import (
    clocks_were_wrong,
    everybody_ended_as_told,
    no_surprise_in_logs,
    resources_stay_flat,
)
from tests.chaos.stage import BURST_NOTICE, Stage

# After the last fault, so that what it leaves behind is met by ticks as well.
CALM_SECONDS = 5.0
LONGEST_DRAIN_SECONDS = 45.0
QUIET_SECONDS = 4.0
START_SECONDS = 180.0


@dataclass(slots=True)
class Report:
    """What a run came to."""

    verdicts: list[Verdict]
    faults: list[str]
    figures: dict[str, object]
    directory: Path

    @property
    def green(self) -> bool:
        """Whether every invariant holds."""
        return all(verdict.holds for verdict in self.verdicts)


def run_chaos(plan: Sequence[Fault], *, seed: int, mutation: str = "none", schedules: int = 60) -> Report:
    """Four workers, `schedules` schedules every 2 s, the faults of the plan; then the judgement."""
    with Stage(mutation=mutation, settings={}) as stage:
        stage.prepare_database()
        from tests.chaos.cast import burst, regulars

        began = datetime.now(UTC)
        stage.fleet.keep_running()
        stage.fleet.wait_until_started(START_SECONDS)
        regulars(stage.bases, count=schedules, seed=seed)
        stage.write_burst = lambda: burst(stage.bases[0], at=datetime.now(UTC) + timedelta(seconds=BURST_NOTICE))
        zero = time.monotonic()
        for fault in plan:
            stage.plan(fault, zero)
        play(stage, until=zero + end_of(plan) + CALM_SECONDS)
        history = History()
        drained = wind_down(stage, history)
        verdicts = judge(stage, history, began)
        return Report(verdicts, stage.told, figures(history, drained), stage.directory)


def play(stage: Stage, *, until: float) -> None:
    """Let faults come and workers come back until a moment (monotonic)."""
    while time.monotonic() < until:
        stage.do_what_is_due()
        stage.fleet.keep_running()
        stage.fleet.take_samples()
        time.sleep(0.1)


def wind_down(stage: Stage, history: History) -> float:
    """Stop the ticks, let the queue empty, end the workers, collect the rows; seconds until the queue was empty."""
    with stage.connect() as connection:
        _play_while_it_shrinks(stage, lambda: overdue_schedules(connection))
        history.stop_ticks(connection)
        drained = _play_while_it_shrinks(stage, lambda: active_runs(connection))
        # Idle connections go, late results of the frozen are fenced.
        play(stage, until=time.monotonic() + QUIET_SECONDS)
        stage.fleet.stop(LONGEST_DRAIN_SECONDS)
        history.harvest(connection)
        history.take_final_state(connection)
    history.victims = stage.fleet.victims()
    history.calls = read_calls(stage.target_logs)
    return drained


def _play_while_it_shrinks(stage: Stage, count: Callable[[], int]) -> float:
    """Go on until nothing is left, or nothing has gone for too long; how many seconds that took.

    A machine that has other things to do takes its time; what is stuck stays.
    """
    began = shrunk = time.monotonic()
    least = count()
    while least and time.monotonic() < shrunk + LONGEST_DRAIN_SECONDS:
        play(stage, until=time.monotonic() + 0.3)
        left = count()
        if left < least:
            least, shrunk = left, time.monotonic()
    return time.monotonic() - began


def judge(stage: Stage, history: History, began: datetime) -> list[Verdict]:
    """All invariants, in the order of the report. What they were judged by stays beside the logs."""
    processes = stage.fleet.incarnations
    history.save(stage.directory / "history.jsonl")
    stage.fleet.save_samples(stage.directory / "samples.jsonl")
    return [
        *(invariant(history) for invariant in INVARIANTS),
        resources_stay_flat(processes),
        everybody_ended_as_told(processes),
        clocks_were_wrong(processes, SKEWS, began),
        no_surprise_in_logs(processes),
    ]


def figures(history: History, drained: float) -> dict[str, object]:
    """What the run amounted to."""
    lost = sum(attempt.error == "worker_lost" for attempt in history.attempts.values())
    begun = {attempt.run: attempt.started for attempt in history.attempts.values() if attempt.number == 1}
    late = sorted(
        begun[run.id] - run.nominal / 1000 for run in history.runs.values() if run.id in begun and not run.queued
    )
    return {
        "schedules": len(history.schedules),
        "runs": len(history.runs),
        "attempts": len(history.attempts),
        "calls seen by targets": len(history.calls),
        "attempts lost with a worker": lost,
        "late results fenced": sum(attempt.fenced for attempt in history.attempts.values()),
        "lateness, faults included, s": {
            f"p{share}": round(late[len(late) * share // 100], 2) for share in (50, 90, 99)
        },
        "seconds until the queue was empty": round(drained, 1),
    }
