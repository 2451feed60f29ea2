from __future__ import annotations

from datetime import timedelta

import pytest

from runs.rollups import EndedRun, count_ended
from scheduler_project.live_state import Workers, read_dashboard, read_workers
from tests.factories import NOW, make_run, make_schedule, make_target
from worker.models import ProcessKind
from worker.presence import register


@pytest.mark.django_db
def test_workers_are_live_until_their_lease_ends() -> None:
    for lease in (5, 10, 20):
        kind, worker = ProcessKind.WORKER, make_target().id
        register(worker_id=worker, kind=kind, seats=1, lease_seconds=lease, now=NOW)
    assert read_workers(NOW + timedelta(seconds=8)) == Workers(live=2, stale=1)


@pytest.mark.django_db
def test_the_dashboard_shows_hours_queue_and_workers() -> None:
    schedule = make_schedule()
    make_run(schedule)
    register(worker_id=schedule.id, kind=ProcessKind.WORKER, seats=1, lease_seconds=30, now=NOW)
    ends = [EndedRun(schedule.id, status, "none", 5.0, NOW) for status in ("success", "failed", "timeout")]
    count_ended(ends, [], now=NOW)
    dashboard = read_dashboard(NOW)
    assert (dashboard.hours[-1].success, dashboard.hours[-1].failed) == (1, 2)
    assert (dashboard.queue.pending, dashboard.workers) == (1, Workers(live=1, stale=0))
