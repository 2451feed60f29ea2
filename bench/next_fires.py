"""CPU of planning the due cron schedules of a database, in batches as enqueue does it: run as a process of its own.

    DATABASE_URL=... python -m bench.next_fires

Prints one line of JSON: milliseconds per schedule where the expressions are as bench.seed has them (a few hundred
expressions and zones among thousands of schedules), and where each schedule has one of its own.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import django

if TYPE_CHECKING:
    from schedules.timing import Timing

EXPRESSIONS = 60 * 24


def main() -> None:
    """See the top of this file."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scheduler_project.settings")
    django.setup()
    from dataclasses import replace

    from schedules.models import Schedule
    from schedules.services import timing_of

    timings = [timing_of(schedule) for schedule in Schedule.objects.filter(schedule_type="cron")]
    shared = _milliseconds(timings)
    own = [
        replace(timing, cron_expression=f"{n % 60} {n // 60 % 24} {n // EXPRESSIONS % 28 + 1} * *")
        for n, timing in enumerate(timings)
    ]
    told = {"schedules": len(timings), "cpu_ms": shared, "cpu_ms_all_different": _milliseconds(own)}
    print(json.dumps(told))


def _milliseconds(timings: Sequence[Timing]) -> float:
    from schedules.clock import database_now
    from schedules.fire_plan import FirePolicy, plan_fires

    now = database_now()
    policy = FirePolicy(
        catch_up="latest",
        misfire_grace_seconds=60,
        overlap_policy="skip",
        remaining_runs=None,
        active_runs=0,
        jitter=timedelta(0),
        poll_seconds=1.0,
    )
    before = time.process_time()
    for timing in timings:
        plan_fires(timing, policy, now, now)
    return 1000 * (time.process_time() - before) / len(timings)


if __name__ == "__main__":
    main()
