from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIRequestFactory

from runs.metrics import Queue
from scheduler_project.bounded_probe import BoundedProbe
from scheduler_project.health import Health, HealthView, judge
from scheduler_project.live_state import LiveState, Workers, read_live_state
from tests.factories import NOW, make_run, make_schedule
from worker.models import ProcessKind
from worker.presence import register

LEASE = 30


def state(live: int = 1, stale: int = 0, due: float = 0.0) -> LiveState:
    return LiveState(queue=Queue(0, 0, 0, due), workers=Workers(live, stale))


def answer(probe: Any, method: str = "get") -> Any:
    request = getattr(APIRequestFactory(), method)("/api/v1/health")
    response = HealthView.as_view(probe=probe)(request)
    response.render()
    return response


def raising(error: Exception) -> Any:
    def probe() -> LiveState:
        raise error

    return probe


@pytest.mark.parametrize(
    ("live", "stale", "due", "health"),
    [
        (1, 0, 0, Health.HEALTHY),
        (3, 0, LEASE, Health.HEALTHY),
        (1, 1, 0, Health.DEGRADED),
        (1, 0, LEASE + 1, Health.DEGRADED),
        (0, 0, 0, Health.DEGRADED),
        (0, 2, LEASE, Health.DEGRADED),
        (0, 0, LEASE + 1, Health.UNHEALTHY),
        (0, 1, LEASE + 1, Health.UNHEALTHY),
    ],
)
def test_it_judges_by_workers_and_by_what_is_overdue(live: int, stale: int, due: float, health: Health) -> None:
    assert judge(state(live, stale, due), overdue_after=LEASE) is health


def test_a_database_that_does_not_answer_is_unhealthy() -> None:
    assert judge(None, overdue_after=LEASE) is Health.UNHEALTHY


def test_a_healthy_service_answers_200_with_what_it_knows() -> None:
    response = answer(lambda: state(live=2, due=0.25))
    assert response.status_code == 200
    timestamp = datetime.fromisoformat(response.data.pop("timestamp"))
    assert abs((timestamp - timezone.now()).total_seconds()) < 60
    assert response.data == {
        "status": "healthy",
        "database": "ok",
        "workers": {"live": 2, "stale": 0},
        "oldest_due_seconds": 0.25,
    }


def test_a_degraded_service_still_answers_200() -> None:
    response = answer(lambda: state(live=0))
    assert (response.status_code, response.data["status"]) == (200, "degraded")


def test_overdue_work_without_a_worker_answers_503() -> None:
    response = answer(lambda: state(live=0, due=10_000))
    assert (response.status_code, response.data["status"]) == (503, "unhealthy")
    assert response.data["database"] == "ok"


@pytest.mark.parametrize("error", [OperationalError("connection refused"), TimeoutError()])
def test_a_database_that_is_away_answers_503_and_shows_nothing_of_the_error(error: Exception) -> None:
    response = answer(raising(error))
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    del response.data["timestamp"]
    assert response.data == {
        "status": "unhealthy",
        "database": "unavailable",
        "workers": {"live": None, "stale": None},
        "oldest_due_seconds": None,
    }


def test_answers_are_not_to_be_cached() -> None:
    assert answer(state)["Cache-Control"] == "no-store"


@pytest.mark.parametrize("accept", ["text/html", "application/openmetrics-text", "image/*"])
def test_a_probe_gets_its_answer_whatever_it_accepts(accept: str) -> None:
    request = APIRequestFactory().get("/api/v1/health", HTTP_ACCEPT=accept)
    assert HealthView.as_view(probe=state)(request).status_code == 200


def test_head_is_answered_too() -> None:
    assert answer(state, "head").status_code == 200


def test_other_methods_are_refused() -> None:
    assert answer(state, "post").status_code == 405


@pytest.mark.django_db(transaction=True)
def test_anybody_may_ask_at_its_address() -> None:
    response = Client().get("/api/v1/health")
    assert response.status_code in (200, 503)
    assert response.json()["database"] == "ok"


@pytest.mark.django_db(transaction=True)
def test_it_reads_workers_and_the_queue_on_a_connection_of_its_own() -> None:
    schedule = make_schedule()
    make_run(schedule)
    register(worker_id=schedule.id, kind=ProcessKind.WORKER, seats=1, lease_seconds=3600, now=timezone.now())
    response = answer(BoundedProbe(read_live_state, deadline_seconds=20))
    assert response.data["workers"] == {"live": 1, "stale": 0}
    assert response.data["oldest_due_seconds"] == pytest.approx((timezone.now() - NOW).total_seconds(), abs=120)


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_not_migrated_is_unavailable() -> None:
    def read() -> LiveState:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM no_such_table")
        raise AssertionError("not reached")

    assert answer(BoundedProbe(read, deadline_seconds=20)).data["database"] == "unavailable"
