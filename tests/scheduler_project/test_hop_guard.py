"""Defence D12: a schedule can't drive the scheduler that calls it."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from runs.models import Run, Trigger
from scheduler_project.hop_guard import HOP_HEADER
from targets.models import Target
from tests.api_client import ApiClient
from tests.factories import make_schedule, make_target
from tests.signed_in import new_key, problem_of
from worker.single_call import call_target_once

HOP = {HOP_HEADER: str(uuid4())}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/targets"),
        ("POST", "/schedules/{id}/run"),
        ("POST", "/schedules/{id}/pause"),
        ("PATCH", "/schedules/{id}"),
        ("DELETE", "/schedules/{id}"),
        ("PUT", "/nowhere"),
        ("BREW", "/targets"),
    ],
)
@pytest.mark.parametrize("name", [HOP_HEADER, HOP_HEADER.lower(), HOP_HEADER.upper()])
def test_a_call_of_a_worker_can_change_nothing(method: str, path: str, name: str) -> None:
    schedule = make_schedule()
    answer = ApiClient().send(method, path.format(id=schedule.id), {}, headers={name: "anything"})
    problem = problem_of(answer, 403)
    assert [error["pointer"] for error in problem["errors"]] == [f"{HOP_HEADER}:"]
    assert "changes schedules could set itself off" in problem["detail"]
    assert (Target.objects.count(), Run.objects.count()) == (1, 0)
    schedule.refresh_from_db()
    assert schedule.status == "active"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/health", "/targets", "/runs", "/metrics"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_call_of_a_worker_may_read(method: str, path: str) -> None:
    assert ApiClient().send(method, path, headers=HOP).status_code in (200, 503)


@pytest.mark.django_db
def test_a_call_of_a_worker_changes_nothing_in_the_admin_either() -> None:
    assert Client().post("/admin/login/", {"username": "a"}, headers=HOP).status_code == 403
    assert Client().get("/admin/login/", headers=HOP).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_schedule_that_would_run_itself_is_refused_and_one_that_watches_health_works(
    live_server: LiveServer, settings: Settings
) -> None:
    settings.EGRESS_ALLOW_CIDRS = [ip_network("127.0.0.0/8")]
    schedule, key = make_schedule(), new_key("admin")

    def call(method: str, path: str) -> Any:
        headers = {"Authorization": f"Bearer {key}"}
        target = make_target(url=f"{live_server.url}/api/v1{path}", method=method, headers=headers)
        return Run.objects.get(pk=call_target_once(target_id=target.id))

    refused = call("POST", f"/schedules/{schedule.id}/run")
    assert (refused.status, refused.final_status_code, refused.final_error_type) == ("failed", 403, "client_error")
    assert not Run.objects.filter(trigger=Trigger.MANUAL).exists()
    assert call("GET", "/targets").final_status_code == 200
    assert call("GET", "/health").final_status_code in (200, 503)
