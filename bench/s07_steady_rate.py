"""S7: at a steady hundred runs a second, how late do calls arrive, beside Celery that is told at the exact instant?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from bench.account import take_account
from bench.databases import PostgresDatabase, wait_until_drained
from bench.drain import workers
from bench.harness import Bench
from bench.peering import CeleryPeer, redis_server
from bench.question import Answer, Question, Sample, compare, percentile
from bench.seed import DUE_PREFIX
from bench.stage import Target

QUESTION = Question("S7", "steady 100 runs/s: p99 lateness : Celery's (sent at the exact instant)", 1.0, at_least=False)
RATE = 100
SECONDS = 20
P50_GOAL_MS = 10.0
NOTICE_SECONDS = 3.0
PATIENCE_SECONDS = 60.0


def measure(bench: Bench) -> Answer:
    """Two processes on both sides; lateness is nominal time to arrival at the target, the same yardstick for both.

    Ours are a hundred schedules of one second each, ten milliseconds apart, and leave no tick out; Celery's sender
    does nothing but sleep until the next instant and send.
    """
    target = bench.stage.target()
    seconds = bench.size(SECONDS, least=5)
    ours = bench.stage.postgres("steady", target.urls, due=RATE)
    theirs = bench.stage.postgres("steady_celery", target.urls, due=RATE)
    answer, told = compare(
        bench,
        QUESTION,
        {
            "worker_p99_ms": lambda: _ours(bench, ours, target, seconds),
            "celery_p99_ms": lambda: _celery(bench, theirs, target, seconds),
        },
    )
    p50 = sorted(float(samples["worker_p99_ms"].detail["p50_ms"]) for samples in told)[len(told) // 2]
    return Answer(
        QUESTION,
        answer.ratio,
        answer.ratios,
        answer.values,
        note=f"p50 {p50:.1f} ms (goal {P50_GOAL_MS:g} ms)",
        holds=p50 <= P50_GOAL_MS,
    )


def _ours(bench: Bench, database: PostgresDatabase, target: Target, seconds: int) -> Sample:
    target.forget()
    with workers(bench.stage, database, processes=2):
        nominal = round(time.time() + NOTICE_SECONDS, 3)
        database.rows(
            "UPDATE schedules_schedule SET status = 'active', schedule_type = 'interval', cron_expression = NULL,"
            " catch_up = 'all', overlap_policy = 'allow', interval_seconds = 1,"
            " started_at = t - interval '1 second', next_run_at = t,"
            f" expires_at = t + {seconds - 1} * interval '1 second' FROM (SELECT id AS key, {{}}::timestamptz"
            " + (row_number() OVER () - 1) * interval '10 milliseconds' AS t FROM schedules_schedule"
            f" WHERE substr(name, 1, {len(DUE_PREFIX)}) = '{DUE_PREFIX}') AS moments WHERE id = key",
            database.moment(nominal),
        )
        time.sleep(max(0.0, nominal + seconds - time.time()))
        wait_until_drained(database, nominal + seconds, seconds=PATIENCE_SECONDS)
    return _sample(database, target, nominal, RATE * seconds)


def _celery(bench: Bench, database: PostgresDatabase, target: Target, seconds: int) -> Sample:
    target.forget()
    with redis_server(bench.stage) as broker:
        peer = CeleryPeer(bench.stage, broker, database)
        with peer.worker():
            # A first task, before the clock starts, shows that both ends are ready.
            first = round(time.time(), 3)
            peer.send("pace", str(first), "1", str(RATE)).wait()
            _wait(lambda: target.count() >= 1)
            target.forget()
            nominal = round(time.time() + NOTICE_SECONDS + 2, 3)
            peer.send("pace", str(nominal), str(RATE * seconds), str(RATE)).wait()
            ended = "SELECT count(*) FROM runs_run WHERE scheduled_at >= {} AND completed_at IS NOT NULL"
            _wait(lambda: database.rows(ended, database.moment(nominal))[0][0] >= RATE * seconds)
    return _sample(database, target, nominal, RATE * seconds)


def _wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError("the peer doesn't come to an end")
        time.sleep(0.1)


def _sample(database: PostgresDatabase, target: Target, nominal: float, due: int) -> Sample:
    calls = target.calls()
    take_account(database, nominal, due=due, calls=calls, until=nominal + 3600)
    rows: Sequence[tuple[object, float]] = database.rows(
        "SELECT id::text, extract(epoch FROM scheduled_at)::float8 FROM runs_run WHERE scheduled_at >= {}",
        database.moment(nominal),
    )
    times = dict(rows)
    late = [1000 * (at - times[key]) for key, at in calls]
    p50, p99 = percentile(late, 50), percentile(late, 99)
    return Sample(p99, {"p50_ms": round(p50, 2), "p99_ms": round(p99, 2), "worst_ms": round(max(late), 2), "runs": due})
