"""Progress on standard error."""

from __future__ import annotations

from scheduler_project.progress import SECONDS, Progress
from tests.worker.workers import Monotonic


def test_it_speaks_every_two_seconds() -> None:
    said: list[str] = []
    monotonic = Monotonic()
    progress = Progress(said.append, monotonic=monotonic)
    for number in range(10):
        progress.say(f"{number} done")
        monotonic.pass_seconds(SECONDS / 4)
    assert said == ["4 done", "8 done"]
