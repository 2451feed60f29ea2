"""`python -m tests.chaos.soak`: hours of ordinary work with a fault now and then, retention on, some targets hostile.

SOAK_MINUTES says how long (60). Rows are copied out before retention deletes them, so that all of it can be judged.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from typing import Any

import psycopg

from tests.chaos.__main__ import as_json, say, tell
from tests.chaos.fleet import Sample
from tests.chaos.harness import START_SECONDS, Report, figures, judge, play, wind_down
from tests.chaos.history import CallSeen, History
from tests.chaos.plan import endless
from tests.chaos.processes import WARM_UP_SECONDS
from tests.chaos.stage import Stage

SCHEDULES = 500
SEED = 20
LEASE_SECONDS = 6.0
# Minutes instead of days, so that deleting keeps pace with making within the run.
RETENTION = {
    "RETENTION_SUCCESS_DAYS": "0.0035",
    "RETENTION_FAILED_DAYS": "0.005",
    "RETENTION_BODY_DAYS": "0.0015",
    "RETENTION_KEEP_LAST": "5",
}
HARVEST_SECONDS = 15.0
# How far back each harvest looks again: late results are fenced within this time.
HARVEST_OVERLAP = 90.0
SIZES_SECONDS = 60.0
TABLES = ("runs_run", "runs_attempt", "runs_minuterollup", "schedules_schedule")


class Soak:
    """Collects while the stage plays."""

    def __init__(self, stage: Stage, history: History) -> None:
        self._stage = stage
        self._history = history
        self._connection: psycopg.Connection[Any] | None = None
        self._since = 0.0
        self.sizes: list[dict[str, object]] = []
        self._zero = time.monotonic()

    def collect(self) -> None:
        """Copy what has ended since the last time; where the database is away, next time."""
        began = time.time()
        try:
            if self._connection is None:
                self._connection = self._stage.connect()
            self._history.harvest(self._connection, self._since)
            if not self.sizes or self._minutes() - float(str(self.sizes[-1]["minute"])) >= SIZES_SECONDS / 60:
                self._measure(self._connection)
        except psycopg.Error:
            self._connection = None
            return
        self._since = began - HARVEST_OVERLAP

    def _measure(self, connection: psycopg.Connection[Any]) -> None:
        row: dict[str, object] = {"minute": round(self._minutes(), 1)}
        for table in TABLES:
            rows, size = connection.execute(
                f"SELECT (SELECT count(*) FROM {table}), pg_total_relation_size('{table}')"
            ).fetchone() or (0, 0)
            row[table] = f"{rows} rows, {size / 1e6:.1f} MB"
        row["runs seen"] = len(self._history.runs)
        row["load"] = round(os.getloadavg()[0], 1)
        self.sizes.append(row)
        sys.stderr.write(f"{json.dumps(row)}\n")

    def _minutes(self) -> float:
        return (time.monotonic() - self._zero) / 60


def run_soak(minutes: float) -> Report:
    """The whole soak, then the judgement."""
    settings = {**RETENTION, "WORKER_LEASE_SECONDS": str(LEASE_SECONDS), "WORKER_POLL_SECONDS": "0.5"}
    with Stage(mutation="none", settings=settings) as stage:
        stage.prepare_database()
        from tests.chaos.cast import crowd

        hostile = stage.spawn("tests.http_target", "--port", "0")
        began = datetime.now(UTC)
        stage.fleet.keep_running()
        stage.fleet.wait_until_started(START_SECONDS)
        crowd(stage.bases, hostile, count=SCHEDULES, seed=SEED)
        zero = time.monotonic()
        for fault in endless(SEED, minutes * 60, lease_seconds=LEASE_SECONDS):
            stage.plan(fault, zero)
        history = History()
        soak = Soak(stage, history)
        while time.monotonic() < zero + minutes * 60:
            play(stage, until=min(time.monotonic() + HARVEST_SECONDS, zero + minutes * 60))
            soak.collect()
        drained = wind_down(stage, history)
        history.calls += hostile_calls(hostile)
        soak.collect()
        verdicts = judge(stage, history, began)
        survivor = max((one.samples for one in stage.fleet.incarnations), key=len)
        numbers = {
            **figures(history, drained),
            "runs deleted by retention": len(history.runs) - _rows(stage, "runs_run"),
            "memory slope of the longest-lived worker, MB per hour": round(slope(survivor), 1),
            "that worker lived, minutes": round((survivor[-1].at - survivor[0].at) / 60, 1),
            "tables": soak.sizes[:: max(1, len(soak.sizes) // 8)] + soak.sizes[-1:],
        }
        return Report(verdicts, stage.told, numbers, stage.directory)


def _rows(stage: Stage, table: str) -> int:
    with stage.connect() as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(row[0]) if row else 0


def hostile_calls(base: str) -> list[CallSeen]:
    """What the hostile target was sent. It never says what it answered."""
    with urllib.request.urlopen(f"{base}/__calls", timeout=60) as answer:
        records = json.loads(answer.read())
    return [
        CallSeen(
            key=record["headers"].get("idempotency-key", ""),
            run=record["headers"].get("x-scheduler-run-id", ""),
            attempt=int(record["headers"].get("x-scheduler-attempt", "0")),
            method=record["method"],
            digest=sha256(json.dumps([record["method"], record["path"], record["body"]]).encode()).hexdigest(),
            arrived=time.time(),
        )
        for record in records
    ]


def slope(samples: list[Sample]) -> float:
    """Least squares through memory over time after the warm-up, in MB per hour."""
    warm = [sample for sample in samples if sample.at >= samples[0].at + WARM_UP_SECONDS * 6]
    if len(warm) < 2 or not any(later.at > earlier.at for earlier, later in pairwise(warm)):
        return 0.0
    middle_at = sum(sample.at for sample in warm) / len(warm)
    middle = sum(sample.megabytes for sample in warm) / len(warm)
    above = sum((sample.at - middle_at) * (sample.megabytes - middle) for sample in warm)
    return 3600 * above / sum((sample.at - middle_at) ** 2 for sample in warm)


def main() -> int:
    """Run and report; 0 if every invariant holds."""
    minutes = float(os.environ.get("SOAK_MINUTES", "60"))
    report = run_soak(minutes)
    if "--json" in sys.argv[1:]:
        say(as_json(report))
    else:
        tell(report)
        say(f"{'GREEN' if report.green else 'RED'}: {minutes:g} minutes; logs are in {report.directory}")
    return 0 if report.green else 1


if __name__ == "__main__":
    sys.exit(main())
