"""Fills a database with targets and schedules, through the project's own models: run as a process of its own.

    DATABASE_URL=... python -m bench.seed --due 3000 [--cron 0.5] URL URL ...

One target per URL. `--due` schedules wait for `bench.drain` to make them due: half of them intervals, half cron
expressions as people write them, in three time zones.
"""

from __future__ import annotations

import argparse
import os
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import django
from django.core.management import call_command

DUE_PREFIX = "due "
ZONES = ("Asia/Kolkata", "Europe/Berlin", "UTC")
# None of them fires while a benchmark runs: what is due is known.
HOURS_FROM_NOW = range(3, 21)
DAYS = ("* * *", "* * 1-5", "1 * *", "* * 0,6")
BATCH = 1000


def main() -> None:
    """See the top of this file."""
    parser = argparse.ArgumentParser(description="Fill a database for a benchmark.")
    parser.add_argument("--due", type=int, default=0)
    parser.add_argument("--cron", type=float, default=0.5, help="share of cron schedules among the due ones")
    parser.add_argument("urls", nargs="*")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scheduler_project.settings")
    django.setup()
    call_command("migrate", verbosity=0)
    if options.urls:
        seed(options.urls, due=options.due, cron=options.cron)


def seed(urls: list[str], *, due: int, cron: float) -> None:
    """Targets, and the schedules that are going to be due."""
    from schedules.clock import database_now
    from schedules.drafts import defaults_for
    from schedules.models import Schedule
    from targets.services import create_target

    now = database_now()
    targets = [create_target(fields={"name": f"Target {n}", "url": url}, now=now) for n, url in enumerate(urls)]
    rows = [
        Schedule(
            **{**defaults_for({}), **_timing(number, cron)},
            name=f"{DUE_PREFIX}{number}",
            target=targets[number % len(targets)],
            started_at=now,
            next_run_at=now + timedelta(days=1),
            created_at=now,
            updated_at=now,
        )
        for number in range(due)
    ]
    Schedule.objects.bulk_create(rows, batch_size=BATCH)


def _timing(number: int, cron: float) -> dict[str, object]:
    """The timing of the n-th schedule: about a thousand different expressions, as daily jobs have them."""
    if number % 100 >= 100 * cron:
        return {"schedule_type": "interval", "interval_seconds": 86_400}
    zone = ZONES[number % len(ZONES)]
    hour = (datetime.now(ZoneInfo(zone)).hour + HOURS_FROM_NOW[number % len(HOURS_FROM_NOW)]) % 24
    expression = f"{number * 7 % 60} {hour} {DAYS[number % len(DAYS)]}"
    return {"schedule_type": "cron", "cron_expression": expression, "timezone": zone}


if __name__ == "__main__":
    main()
