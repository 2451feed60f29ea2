"""The schedules of a chaos run and of a soak, written as the API would leave them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from schedules.clock import database_now
from schedules.models import Schedule
from targets.models import Target
from tests.chaos.plan import TIMEOUT_SECONDS

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
MODES = ("auto", "retry", "fail")
BODY = '{"run": "{{run_id}}", "at": "{{scheduled_at}}", "made": "{{timestamp}}", "one": "{{uuid}}"}'
LONG_GRACE = 86_400
BURST_SIZE = 1000


def _target(base: str, number: int, method: str, milliseconds: int, now: datetime) -> Target:
    return Target(
        name=f"target {number}",
        url=f"{base}/work/{milliseconds}/{number}",
        method=method,
        body_template=BODY if method in ("POST", "PUT", "PATCH") else None,
        timeout_seconds=TIMEOUT_SECONDS,
        created_at=now,
        updated_at=now,
    )


def _schedule(target: Target, number: int, now: datetime, **fields: Any) -> Schedule:
    values = {
        "name": f"schedule {number}",
        "target": target,
        "schedule_type": "interval",
        "timezone": "UTC",
        "misfire_grace_seconds": LONG_GRACE,
        "max_retries": 8,
        "retry_delay_seconds": 0.3,
        "max_retry_delay_seconds": 3,
        "catch_up": "all",
        "overlap_policy": "allow",
        "on_worker_lost": MODES[number % len(MODES)],
        "created_at": now,
        "updated_at": now,
    }
    return Schedule(**{**values, **fields})


def regulars(bases: Sequence[str], *, count: int, seed: int) -> datetime:
    """`count` schedules every 2 s: methods, modes, latencies mixed; every fifth with a policy other than all/allow.

    Returns:
        The moment before the first tick.
    """
    rng = random.Random(seed)
    now = database_now()
    # Whole milliseconds, as users give them: the oracle counts in them.
    start = (now + timedelta(seconds=1)).replace(microsecond=0)
    targets, schedules = [], []
    for number in range(count):
        # Slow enough that a kill or a freeze finds calls in flight.
        milliseconds = rng.choice((5, 20, 50)) if number % 3 else rng.randrange(1200, 2500)
        if number % 15 == 0:
            # Still in flight when a rescue sends it again: guarantee G10's exception.
            milliseconds = 6000
        target = _target(bases[number % len(bases)], number, METHODS[number % len(METHODS)], milliseconds, now)
        started = start + timedelta(milliseconds=rng.randrange(0, 2000, 50))
        policies: dict[str, str] = {}
        if number % 5 == 4:
            policies = {
                "overlap_policy": ("skip", "queue")[number // 5 % 2],
                "catch_up": ("all", "latest", "none")[number // 5 % 3],
            }
        targets.append(target)
        schedules.append(
            _schedule(
                target,
                number,
                now,
                interval_seconds=2,
                started_at=started,
                next_run_at=started + timedelta(seconds=2),
                **policies,
            )
        )
    Target.objects.bulk_create(targets)
    Schedule.objects.bulk_create(schedules)
    return start


def burst(base: str, *, at: datetime) -> None:
    """A thousand schedules that are due once, in the same second."""
    at = at.replace(microsecond=0)
    now = database_now()
    target = _target(base, 9000, "POST", 10, now)
    target.save(force_insert=True)
    schedules = [
        _schedule(
            target,
            10_000 + number,
            now,
            schedule_type="once",
            run_at=at + timedelta(milliseconds=number),
            started_at=now,
            next_run_at=at + timedelta(milliseconds=number),
        )
        for number in range(BURST_SIZE)
    ]
    Schedule.objects.bulk_create(schedules)


HOSTILE = (
    "/drip?every=0.2", "/endless", "/silent", "/gzip-bomb?megabytes=3", "/hang-up", "/drip-headers?every=0.2",
    "/continues?every=0.05", "/loop", "/drip-chunks?every=0.2", "/big",
)  # fmt: skip


def crowd(bases: Sequence[str], hostile_base: str, *, count: int, seed: int) -> datetime:
    """`count` schedules every 1 to 60 s for the soak; one in a hundred calls a hostile target.

    Returns:
        The moment before the first tick.
    """
    rng = random.Random(seed)
    now = database_now()
    # Whole milliseconds, as users give them: the oracle counts in them.
    start = (now + timedelta(seconds=1)).replace(microsecond=0)
    targets, schedules = [], []
    for number in range(count):
        milliseconds = rng.choice((5, 20, 50, 200, 1500))
        target = _target(bases[number % len(bases)], number, METHODS[number % len(METHODS)], milliseconds, now)
        policies: dict[str, object] = {}
        interval = rng.randint(1, 60)
        if number % 5 == 4:
            policies = {"overlap_policy": rng.choice(("skip", "queue")), "catch_up": rng.choice(("all", "latest"))}
        if number % 100 == 50:
            target.url = hostile_base + HOSTILE[number // 100 % len(HOSTILE)]
            interval = max(interval, 10)
            policies = {"max_retries": 1}
        started = start + timedelta(milliseconds=rng.randrange(0, interval * 1000, 50))
        targets.append(target)
        schedules.append(
            _schedule(
                target,
                number,
                now,
                interval_seconds=interval,
                started_at=started,
                next_run_at=started + timedelta(seconds=interval),
                **policies,
            )
        )
    Target.objects.bulk_create(targets)
    Schedule.objects.bulk_create(schedules)
    return start
