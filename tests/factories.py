"""The cast of the tests: rows with sensible values, each overridable by keyword."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from runs.identity import attempt_id, new_run_id
from runs.models import Attempt, Run
from schedules.models import Schedule
from targets.models import Target

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def make_target(**fields: Any) -> Target:
    """A saved target; loopback port 9 unless `url` says otherwise."""
    values = {
        "name": "Orders API",
        "url": "http://127.0.0.1:9/orders",
        "timeout_seconds": 5,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Target.objects.create(**{**values, **fields})


def make_schedule(target: Target | None = None, **fields: Any) -> Schedule:
    """A saved, active schedule: every minute from `NOW`, next due a minute later."""
    values = {
        "name": "Sync orders",
        "target": target or make_target(),
        "schedule_type": "interval",
        "interval_seconds": 60,
        "timezone": "UTC",
        "misfire_grace_seconds": 60,
        "max_retries": 3,
        "retry_delay_seconds": 1,
        "started_at": NOW,
        "next_run_at": NOW + timedelta(minutes=1),
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Schedule.objects.create(**{**values, **fields})


def make_run(schedule: Schedule | None = None, **fields: Any) -> Run:
    """A saved run, pending and due at `NOW`, of `schedule` (a new one unless given)."""
    schedule = schedule or make_schedule()
    scheduled_at = fields.get("scheduled_at", NOW)
    values = {
        "id": new_run_id(scheduled_at),
        "schedule": schedule,
        "target": schedule.target,
        "trigger": "schedule",
        "status": "pending",
        "scheduled_at": scheduled_at,
        "next_attempt_at": scheduled_at if fields.get("status", "pending") in ("pending", "retrying") else None,
        "created_at": scheduled_at,
    }
    return Run.objects.create(**{**values, **fields})


def make_ended_run(schedule: Schedule | None = None, **fields: Any) -> Run:
    """A saved run that ended with success a second after `NOW`."""
    values = {"status": "success", "started_at": NOW, "completed_at": NOW + timedelta(seconds=1), "attempt_count": 1}
    return make_run(schedule, **{**values, **fields})


def make_attempt(run: Run, **fields: Any) -> Attempt:
    """A saved, ended attempt of `run` that got 200."""
    values = {
        "id": attempt_id(run.id),
        "run": run,
        "attempt_number": 1,
        "token": 1,
        "worker_id": new_run_id(NOW),
        "request_url": run.target.url,
        "request_method": run.target.method,
        "started_at": NOW,
        "completed_at": NOW + timedelta(seconds=1),
        "latency_ms": 1000.0,
        "status_code": 200,
        "created_at": NOW,
    }
    return Attempt.objects.create(**{**values, **fields})
