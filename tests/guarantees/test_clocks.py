"""Guarantee G21: no machine's wall clock decides anything in a worker, which may jump, and differs between machines."""

from __future__ import annotations

import re

from scheduler_project.env_file import BASE_DIR

WALL_CLOCK = re.compile(
    r"\btime\.(?:time|time_ns|localtime|gmtime)\b|\b(?:datetime|timezone)\.(?:now|utcnow)\b|\bdate\.today\b"
    r"|\bauto_now|from time import"
)
# What a run is computed from, stored and made by; commands note when they were given.
PARTS = ("runs", "schedules", "worker")
KNOWN = {
    # SQLite has no other.
    "schedules/clock.py": ["datetime.now"],
    # Until the first tick has asked the database; nothing has happened before it.
    "worker/worker_clock.py": ["datetime.now"],
}


def test_g21_only_the_databases_clock_and_the_monotonic_one_are_read() -> None:
    sources = [path for part in PARTS for path in (BASE_DIR / part).rglob("*.py")]
    within = [path for path in sources if not {"migrations", "management"} & set(path.parts)]
    found = {
        path.relative_to(BASE_DIR).as_posix(): WALL_CLOCK.findall(path.read_text(encoding="utf-8")) for path in within
    }
    assert {name: clocks for name, clocks in found.items() if clocks} == KNOWN
