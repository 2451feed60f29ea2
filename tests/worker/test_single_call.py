"""Test calls: one attempt, made by the web process."""

from __future__ import annotations

from ipaddress import ip_network
from uuid import uuid4

import pytest
from pytest_django import Settings

from runs.models import Run
from targets.masking import MASK
from targets.models import Target
from tests.api_client import ApiClient
from tests.factories import make_target
from tests.http_target import RecordingTarget
from worker.models import WorkerProcess
from worker.single_call import call_target_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def loopback(settings: Settings) -> None:
    """Let calls to this machine through."""
    settings.EGRESS_ALLOW_CIDRS = [ip_network("127.0.0.0/8")]


@pytest.mark.usefixtures("loopback")
class TestOverHttp:
    def test_it_answers_the_run_with_its_attempt(self) -> None:
        with RecordingTarget() as server:
            target = make_target(url=server.url("/status/201"), headers={"X-Token": "s3cret"})
            answer = ApiClient().post(f"/targets/{target.id}/test")
            (call,) = server.calls("/status/201")
        body = answer.json()
        assert answer.status_code == 200
        assert (body["trigger"], body["status"], body["schedule_id"]) == ("test", "success", None)
        assert (body["final_status_code"], body["attempt_count"]) == (201, 1)
        (attempt,) = body["attempts"]
        assert (attempt["status_code"], attempt["request_headers"]["X-Token"]) == (201, MASK)
        assert (call.headers["x-token"], call.key) == ("s3cret", body["id"])
        assert not WorkerProcess.objects.exists()

    def test_a_failure_is_a_result_and_is_not_retried(self) -> None:
        with RecordingTarget() as server:
            target = make_target(url=server.url("/status/503"))
            body = ApiClient().post(f"/targets/{target.id}/test").json()
            assert len(server.calls("/status/503")) == 1
        assert (body["status"], body["final_error_type"]) == ("failed", "server_error")

    def test_the_same_key_calls_once(self) -> None:
        with RecordingTarget() as server:
            path = f"/targets/{make_target(url=server.url('/ok')).id}/test"
            api = ApiClient()
            first, second = (api.post(path, Idempotency_Key="k") for _ in range(2))
            assert len(server.calls("/ok")) == 1
        assert first.json() == second.json()

    def test_it_refuses_a_body_with_fields(self) -> None:
        assert ApiClient().post(f"/targets/{make_target().id}/test", {"url": "x"}).status_code == 422
        assert not Run.objects.exists()


def test_an_address_that_is_not_open_is_blocked_like_in_the_worker() -> None:
    run = Run.objects.get(pk=call_target_once(target_id=make_target(url="http://127.0.0.1:8080/").id))
    assert (run.status, run.final_error_type) == ("failed", "blocked")
    assert "EGRESS_ALLOW_CIDRS" in run.final_error_message


def test_a_target_that_can_not_be_rendered_fails_without_a_call() -> None:
    target = make_target(url="http://127.0.0.1:8080/{{nonsense}}")
    run = Run.objects.get(pk=call_target_once(target_id=target.id))
    assert (run.status, run.final_error_type) == ("failed", "template")
    assert not WorkerProcess.objects.exists()


def test_there_must_be_such_a_target() -> None:
    with pytest.raises(Target.DoesNotExist):
        call_target_once(target_id=uuid4())
    assert not WorkerProcess.objects.exists()
