from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from runs.rollups import EndedRun, count_ended
from schedules.clock import database_now
from tests.factories import make_run, make_schedule, make_target
from tests.signed_in import key_client, pointers_of, problem_of
from worker.models import ProcessKind
from worker.presence import register

METRICS = "/api/v1/metrics"
PROMETHEUS = "/api/v1/metrics/prometheus"
SCRAPER = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,*/*;q=0.2"
)


@pytest.fixture
def now(db: None) -> datetime:
    return database_now()


@pytest.fixture
def client(now: datetime) -> APIClient:
    return key_client("read")


def read(client: APIClient, query: str = "") -> Any:
    response = client.get(f"{METRICS}{query}")
    assert response.status_code == 200, response.content
    return response.json()


def count(schedule_id: Any, *statuses: str, now: datetime, latency: float | None = 100.0, error: str = "none") -> None:
    count_ended([EndedRun(schedule_id, status, error, latency, now) for status in statuses], [0.1], now=now)


def test_it_gives_every_number_of_an_empty_service(client: APIClient) -> None:
    assert read(client) == {
        "total_targets": 0,
        "total_schedules": 0,
        "active_schedules": 0,
        "paused_schedules": 0,
        "total_runs": 0,
        "runs_last_hour": 0,
        "runs_last_24h": 0,
        "success_rate_24h": 0,
        "avg_latency_24h_ms": 0,
        "p50_latency_24h_ms": 0,
        "p95_latency_24h_ms": 0,
        "error_breakdown_24h": {},
        "queue": {"pending": 0, "running": 0, "retrying": 0, "oldest_due_seconds": 0},
        "workers": {"live": 0, "stale": 0},
        "schedules": [],
    }


def test_it_gives_what_was_counted(client: APIClient, now: datetime) -> None:
    schedule = make_schedule(name="Sync orders", next_run_at=now + timedelta(days=1))
    paused = make_schedule(schedule.target, status="paused", next_run_at=None)
    make_run(schedule, scheduled_at=now + timedelta(hours=1))
    register(worker_id=schedule.id, kind=ProcessKind.WORKER, seats=1, lease_seconds=600, now=now)
    count(schedule.id, "success", "success", "success", now=now)
    count(schedule.id, "failed", error="dns", latency=300.0, now=now)
    count(schedule.id, "skipped", latency=None, now=now)
    count(None, "timeout", error="timeout", latency=5000.0, now=now - timedelta(hours=2))
    count(None, "success", now=now - timedelta(hours=25))
    body = read(client)
    listed = body.pop("schedules")
    assert body == {
        "total_targets": 1,
        "total_schedules": 2,
        "active_schedules": 1,
        "paused_schedules": 1,
        "total_runs": 7,
        "runs_last_hour": 5,
        "runs_last_24h": 6,
        "success_rate_24h": 60.0,
        "avg_latency_24h_ms": pytest.approx(1120, abs=0.1),
        "p50_latency_24h_ms": pytest.approx(91.67),
        "p95_latency_24h_ms": pytest.approx(4375),
        "error_breakdown_24h": {"dns": 1, "timeout": 1},
        "queue": {"pending": 1, "running": 0, "retrying": 0, "oldest_due_seconds": 0},
        "workers": {"live": 1, "stale": 0},
    }
    assert [entry["schedule_id"] for entry in listed] == [str(schedule.id), str(paused.id)]
    assert datetime.fromisoformat(listed[0].pop("last_run_at")) == now
    assert listed[0] == {
        "schedule_id": str(schedule.id),
        "schedule_name": "Sync orders",
        "total_runs": 5,
        "successful_runs": 3,
        "failed_runs": 1,
        "timeout_runs": 0,
        "success_rate": 75.0,
        "avg_latency_ms": 150.0,
    }


def test_one_schedule_can_be_asked_for(client: APIClient, now: datetime) -> None:
    schedules = [make_schedule() for _ in range(3)]
    count(schedules[0].id, "failed", now=now)
    body = read(client, f"?schedule_id={schedules[1].id}")
    assert [entry["schedule_id"] for entry in body["schedules"]] == [str(schedules[1].id)]
    assert body["total_runs"] == 1


def test_total_runs_is_the_sum_of_what_a_scraper_gets_by_status(client: APIClient, now: datetime) -> None:
    for status in ("success", "failed", "timeout", "skipped", "cancelled"):
        count(None, status, now=now)
    families = text_string_to_metric_families(client.get(PROMETHEUS).content.decode())
    samples = [sample for family in families for sample in family.samples if sample.name == "api_scheduler_runs_total"]
    assert read(client)["total_runs"] == sum(sample.value for sample in samples) == 5


def test_a_malformed_schedule_id_is_a_422_that_names_it(client: APIClient) -> None:
    assert pointers_of(client.get(f"{METRICS}?schedule_id=7")) == ["?schedule_id"]


def test_an_unknown_or_deleted_schedule_is_a_404(client: APIClient, now: datetime) -> None:
    for schedule_id in (uuid4(), make_schedule(deleted_at=now).id, make_schedule(make_target(deleted_at=now)).id):
        problem_of(client.get(f"{METRICS}?schedule_id={schedule_id}"), 404)


@pytest.mark.parametrize("path", [METRICS, PROMETHEUS])
def test_it_takes_as_many_queries_for_many_schedules_as_for_few(
    client: APIClient, now: datetime, path: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(12):
        schedule = make_schedule()
        make_run(schedule)
        count(schedule.id, "success", "failed", now=now)
    # Two of them for the key, one for the clock.
    with django_assert_max_num_queries(13):
        assert client.get(path).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("path", [METRICS, PROMETHEUS])
def test_it_needs_a_key_that_may_read(path: str) -> None:
    problem_of(APIClient().get(path), 401)
    problem_of(key_client("run").get(path), 403)


def test_a_scraper_gets_text_although_it_prefers_openmetrics(client: APIClient) -> None:
    response = client.get(PROMETHEUS, headers={"accept": SCRAPER})
    assert response.status_code == 200
    assert response["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_the_scraped_page_has_our_numbers_and_the_web_process_own(client: APIClient, now: datetime) -> None:
    count(make_schedule().id, "success", "failed", error="ssl", now=now)
    page = client.get(PROMETHEUS).content.decode()
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    assert samples["api_scheduler_runs_total", "success"] == 1
    assert samples["api_scheduler_errors_total", "ssl"] == 2
    assert samples["api_scheduler_run_latency_seconds_count",] == 2
    assert samples["django_http_requests_before_middlewares_total",] > 0


def test_no_name_address_or_key_of_a_user_is_scraped(client: APIClient, now: datetime) -> None:
    target = make_target(name="canary-target", url="http://canary-host.example/canary-path")
    schedule = make_schedule(target, name="canary-schedule")
    count(schedule.id, "failed", error="dns", now=now)
    client.get(f"/api/v1/canary-path?canary={schedule.id}", headers={"x-canary": "canary-header"})
    client.generic("CANARY-METHOD", METRICS)
    page = client.get(PROMETHEUS).content.decode().lower()
    assert "canary" not in page
    assert str(schedule.id) not in page
