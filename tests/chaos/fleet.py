"""The worker processes: started, killed, frozen, watched."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
RESTART_SECONDS = 1.0
SAMPLE_SECONDS = 1.0
_WORKER_ID = re.compile(r"action=worker_(?:started|reregistered) .*?\bworker=([0-9a-f-]{36})")
_CUT_OFF = re.compile(r"action=worker_stopped .*?calls_cut_off=(\d+) results_lost=(\d+)")


@dataclass(frozen=True, slots=True)
class Sample:
    """What one process took at a moment (monotonic)."""

    at: float
    megabytes: float
    threads: int
    descriptors: int


@dataclass(slots=True)
class Incarnation:
    """One process in a worker's slot."""

    slot: int
    process: subprocess.Popen[bytes]
    log: Path
    started: float
    # Killed or frozen past its lease by us: its Runs may be lost.
    struck: bool = False
    told_to_end: bool = False
    ready: bool = False
    samples: list[Sample] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None

    def text(self) -> str:
        """What it has logged."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def ids(self) -> set[str]:
        """Under which ids it worked."""
        return set(_WORKER_ID.findall(self.text()))

    def left_something(self) -> bool:
        """Whether it ended with calls cut off or results not written, as its log says."""
        found = _CUT_OFF.search(self.text())
        return found is not None and any(map(int, found.groups()))


class Fleet:
    """One worker per skew; restarts whoever ended by our doing."""

    def __init__(self, directory: Path, environment: Mapping[str, str], *, skews: Sequence[int], mutation: str) -> None:
        self.incarnations: list[Incarnation] = []
        self._directory = directory
        self._environment = {**os.environ, **environment}
        self._skews = skews
        self._mutation = mutation
        self._sample_at = 0.0
        self._current: dict[int, Incarnation] = {}
        self._start_at: dict[int, float] = dict.fromkeys(range(len(skews)), 0.0)

    def keep_running(self) -> None:
        """Start every worker that is not running and whose time has come."""
        now = time.monotonic()
        for slot, moment in list(self._start_at.items()):
            if now >= moment:
                del self._start_at[slot]
                self._start(slot)
        for slot, incarnation in self._current.items():
            if not incarnation.alive and slot not in self._start_at:
                self._start_at[slot] = now + RESTART_SECONDS

    def kill(self, slot: int) -> None:
        """SIGKILL."""
        self._current[slot].struck = self._current[slot].told_to_end = True
        self._signal(slot, signal.SIGKILL)

    def terminate(self, slot: int) -> None:
        """SIGTERM; it ends when its calls have."""
        self._current[slot].told_to_end = True
        self._signal(slot, signal.SIGTERM)

    def freeze(self, slot: int, *, past_the_lease: bool) -> Incarnation:
        """SIGSTOP; who was frozen."""
        self._current[slot].struck |= past_the_lease
        self._signal(slot, signal.SIGSTOP)
        return self._current[slot]

    def thaw(self, incarnation: Incarnation) -> None:
        """SIGCONT."""
        if incarnation.alive:
            incarnation.process.send_signal(signal.SIGCONT)

    def wait_until_started(self, seconds: float) -> None:
        """Wait until every worker has said that it has started.

        Raises:
            TimeoutError: one has not.
        """
        deadline = time.monotonic() + seconds
        while not all(incarnation.ids() for incarnation in self._current.values()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not every worker has started within {seconds} s; see {self._directory}")
            time.sleep(0.1)

    def stop(self, seconds: float) -> None:
        """SIGTERM to all, SIGKILL to those that are still there after `seconds`."""
        running = [incarnation for incarnation in self._current.values() if incarnation.alive]
        for incarnation in running:
            incarnation.told_to_end = True
            incarnation.process.terminate()
        deadline = time.monotonic() + seconds
        for incarnation in running:
            try:
                incarnation.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                incarnation.process.kill()
                incarnation.process.wait()

    def close(self) -> None:
        """Kill whatever is left."""
        for incarnation in self.incarnations:
            if incarnation.alive:
                incarnation.process.kill()
                incarnation.process.wait()

    def take_samples(self) -> None:
        """Note what each process that has started takes, once a second."""
        if time.monotonic() < self._sample_at:
            return
        self._sample_at = time.monotonic() + SAMPLE_SECONDS
        for incarnation in self._current.values():
            # How long a process takes to start is the machine's business.
            incarnation.ready = incarnation.ready or bool(incarnation.ids())
            if incarnation.ready and incarnation.alive and (sample := sample_of(incarnation.process.pid)):
                incarnation.samples.append(sample)

    def save_samples(self, path: Path) -> None:
        """Keep them, to see how memory went."""
        with path.open("w", encoding="utf-8") as file:
            for one in self.incarnations:
                file.writelines(json.dumps({"worker": one.log.stem, **asdict(each)}) + "\n" for each in one.samples)

    def victims(self) -> set[str]:
        """Ids of all workers that may have lost Runs: killed, frozen, or ended with something left to do."""
        lost = [one for one in self.incarnations if one.struck or one.left_something()]
        return {worker for incarnation in lost for worker in incarnation.ids()}

    def _start(self, slot: int) -> None:
        log = self._directory / f"worker-{slot}-{len(self.incarnations)}.log"
        command = [sys.executable, "-m", "tests.chaos.shaken_worker", str(self._skews[slot]), self._mutation]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=CHECKOUT, env=self._environment, stdout=output, stderr=subprocess.STDOUT
            )
        incarnation = Incarnation(slot, process, log, time.monotonic())
        self._current[slot] = incarnation
        self.incarnations.append(incarnation)

    def _signal(self, slot: int, number: signal.Signals) -> None:
        if self._current[slot].alive:
            self._current[slot].process.send_signal(number)


def sample_of(pid: int) -> Sample | None:
    """What the process takes now; None where it has just ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
        descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return None
    return Sample(time.monotonic(), pages * os.sysconf("SC_PAGE_SIZE") / 1e6, threads, descriptors)
