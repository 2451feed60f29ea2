"""The Idempotency-Key header, over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import OperationalError, connection
from rest_framework.test import APIClient

from access.models import IdempotentRequest
from runs.errors import WrongState
from targets.models import Target
from tests.scheduler_project.probe_api import Failure
from tests.signed_in import client_with, key_client, new_key, pointers_of, post_raw, problem_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.scheduler_project.probe_api")]
LIST = "/api/v1/things"
NEW_THING = {"name": "Orders", "url": "https://example.com/"}


@pytest.fixture
def client() -> APIClient:
    return key_client()


def post(client: APIClient, body: Any = NEW_THING, path: str = LIST, key: str = "k-1") -> Any:
    return client.post(path, body, HTTP_IDEMPOTENCY_KEY=key)


def fail_with(monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> None:
    def raise_it() -> None:
        if error is not None:
            raise error

    monkeypatch.setattr(Failure, "raise_it", staticmethod(raise_it))


def test_a_repetition_acts_once_and_is_answered_the_same(client: APIClient) -> None:
    first, second = post(client), post(client)
    assert Target.objects.count() == 1
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert second["ETag"] == first["ETag"]
    assert second["Content-Type"] == first["Content-Type"] == "application/json"
    assert second["Idempotent-Replay"] == "true"
    assert "Idempotent-Replay" not in first


def test_without_the_header_every_request_acts(client: APIClient) -> None:
    client.post(LIST, NEW_THING)
    client.post(LIST, NEW_THING)
    assert Target.objects.count() == 2


@pytest.mark.parametrize(
    ("body", "path"),
    [({**NEW_THING, "name": "Other"}, LIST), (NEW_THING, f"{LIST}/fail"), (NEW_THING, f"{LIST}?x=1")],
)
def test_another_request_with_the_same_key_is_a_422(client: APIClient, body: Any, path: str) -> None:
    post(client)
    response = post(client, body, path)
    assert pointers_of(response) == ["Idempotency-Key:"]
    assert response.json()["detail"].startswith("Idempotency-Key: This key was used")
    assert Target.objects.count() == 1


def test_two_clients_may_choose_the_same_key() -> None:
    post(key_client())
    assert post(key_client()).status_code == 201
    assert Target.objects.count() == 2


def test_a_request_in_flight_is_a_409(client: APIClient) -> None:
    post(client)
    IdempotentRequest.objects.update(status_code=None)
    assert "still being worked on" in problem_of(post(client), 409)["detail"]


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "é", "a\x7fb"])
def test_a_malformed_key_is_a_422(client: APIClient, key: str) -> None:
    assert pointers_of(post(client, key=key)) == ["Idempotency-Key:"]


@pytest.mark.parametrize("key", ["x", "x" * 255, '"quoted"', "with space", "~!@#$%^&*()"])
def test_any_printable_key_will_do(client: APIClient, key: str) -> None:
    assert post(client, key=key).status_code == 201
    assert post(client, key=key)["Idempotent-Replay"] == "true"


def test_a_refusal_is_repeated_too(client: APIClient) -> None:
    first = post(client, {"url": "https://example.com/"})
    second = post(client, {"url": "https://example.com/"})
    assert pointers_of(first) == pointers_of(second) == ["/name"]
    assert second["Idempotent-Replay"] == "true"


@pytest.mark.parametrize("error", [WrongState("It has ended."), OperationalError("gone"), ZeroDivisionError()])
def test_a_passing_failure_leaves_the_key_free(
    client: APIClient, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    fail_with(monkeypatch, error)
    assert post(client, {}, f"{LIST}/fail").status_code >= 400
    fail_with(monkeypatch, None)
    assert post(client, {}, f"{LIST}/fail").status_code == 200


def test_a_failure_takes_back_what_was_written(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, ZeroDivisionError())
    post(client, {}, f"{LIST}/fail")
    assert not Target.objects.exists()


def test_a_process_that_dies_leaves_no_half_done_work(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die() -> None:
        raise Killed

    monkeypatch.setattr(Failure, "raise_it", staticmethod(die))
    with pytest.raises(Killed):
        post(client, {}, f"{LIST}/fail")
    assert not Target.objects.exists()
    assert IdempotentRequest.objects.get().status_code is None


def test_a_call_out_holds_no_transaction(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    depths: list[int] = []
    monkeypatch.setattr(Failure, "raise_it", staticmethod(lambda: depths.append(len(connection.savepoint_ids))))
    post(client, {}, f"{LIST}/call", key="a")
    post(client, {}, f"{LIST}/fail", key="b")
    assert depths[1] == depths[0] + 1


def test_a_replay_still_needs_the_scope(client: APIClient) -> None:
    post(client)
    reader = key_client("read")
    problem_of(post(reader), 403)


def test_a_wrong_body_type_is_no_reason_to_fail(client: APIClient) -> None:
    response = post_raw(client, LIST, b"x", "text/plain", HTTP_IDEMPOTENCY_KEY="k")
    problem_of(response, 415)


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_of_many_requests_at_once_one_acts() -> None:
    count = 6
    key = new_key()
    start = Barrier(count)

    def send(_: int) -> int:
        try:
            client = client_with(key)
            start.wait()
            status: int = post(client).status_code
            return status
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        statuses = list(pool.map(send, range(count)))
    assert Target.objects.count() == 1
    assert set(statuses) <= {201, 409}
    assert 201 in statuses
