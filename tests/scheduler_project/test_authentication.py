"""Who may ask for what."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from access.keys import create_key
from access.models import ApiKey
from access.roles import READS, RUNS, WRITES
from tests.signed_in import client_with, key_client, make_user, new_key, problem_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.scheduler_project.probe_api")]
LIST = "/api/v1/things"
NEW_THING = {"name": "Orders", "url": "https://example.com/"}


def session_client(user: User) -> APIClient:
    """A browser in which `user` has signed in, with CSRF checks as in real life."""
    client = APIClient(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(user)
    return client


def test_a_stranger_gets_a_401_that_says_how_to_sign_in() -> None:
    response = APIClient().get(LIST)
    assert "create_api_key" in problem_of(response, 401)["detail"]
    assert response["WWW-Authenticate"].startswith("Bearer ")


def test_a_key_opens_the_api() -> None:
    assert key_client().get(LIST).status_code == 200


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
def test_the_scheme_is_case_insensitive(scheme: str) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"{scheme}  {new_key()} ")
    assert client.get(LIST).status_code == 200


@pytest.mark.parametrize("key", ["", "nope", "aps_" + "A" * 43, "a b", "\xff\x00", "x" * 5000, "aps_é"])
def test_a_wrong_key_is_a_401(key: str) -> None:
    response = client_with(key).get(LIST)
    assert "not known" in problem_of(response, 401)["detail"]
    assert "WWW-Authenticate" in response


def test_an_expired_key_is_a_401_that_says_so() -> None:
    key, text = create_key(
        name="old", scopes=["read"], expires_at=timezone.now() + timedelta(days=1), now=timezone.now()
    )
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert "expired" in problem_of(client_with(text).get(LIST), 401)["detail"]


def test_a_revoked_key_is_a_401_that_says_so() -> None:
    key, text = create_key(name="lost", scopes=["read"], expires_at=None, now=timezone.now())
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    assert "revoked" in problem_of(client_with(text).get(LIST), 401)["detail"]


def test_a_key_is_refused_from_elsewhere_with_a_403_that_says_so() -> None:
    _, text = create_key(name="office", scopes=["read"], expires_at=None, now=timezone.now(), cidrs=["192.0.2.0/24"])
    client = client_with(text)
    assert client.get(LIST, REMOTE_ADDR="192.0.2.9").status_code == 200
    for forged in ("", "192.0.2.9"):
        answer = client.get(LIST, REMOTE_ADDR="203.0.113.9", HTTP_X_FORWARDED_FOR=forged)
        problem = problem_of(answer, 403)
        assert problem["detail"] == "This API key can't be used from 203.0.113.9."


def test_a_wrong_key_is_refused_although_a_session_is_open() -> None:
    client = session_client(make_user(is_superuser=True))
    client.credentials(HTTP_AUTHORIZATION="Bearer nope")
    problem_of(client.get(LIST), 401)


def test_another_scheme_leaves_the_session_in_charge() -> None:
    client = session_client(make_user(is_superuser=True))
    client.credentials(HTTP_AUTHORIZATION="Basic YTpi")
    assert client.get(LIST).status_code == 200


def test_use_is_noted_and_the_next_request_writes_nothing() -> None:
    client = key_client()
    client.get(LIST)
    assert ApiKey.objects.get().last_used_at is not None
    with CaptureQueriesContext(connection) as queries:
        client.get(LIST)
    assert [query["sql"] for query in queries if not query["sql"].startswith("SELECT")] == []


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        (["read"], {"get"}),
        (["write"], {"create"}),
        (["run"], {"call"}),
        (["read", "write", "run"], {"get", "create", "call"}),
        (["admin"], {"get", "create", "call", "manage"}),
    ],
)
def test_scopes_open_their_own_doors(scopes: list[str], allowed: set[str]) -> None:
    client = key_client(*scopes)
    answers = {
        "get": client.get(LIST),
        "create": client.post(LIST, NEW_THING),
        "call": client.post(f"{LIST}/call"),
        "manage": client.post(f"{LIST}/manage"),
    }
    assert {name for name, answer in answers.items() if answer.status_code < 300} == allowed
    assert all(answer.status_code == 403 for name, answer in answers.items() if name not in allowed)


def test_a_missing_scope_is_named() -> None:
    assert "scope write" in problem_of(key_client("read").post(LIST, NEW_THING), 403)["detail"]


@pytest.mark.parametrize(
    ("fields", "permissions", "reads", "creates", "calls"),
    [
        ({"is_superuser": True}, [], 200, 201, 200),
        ({}, [], 403, 403, 403),
        ({}, [*READS], 200, 403, 403),
        ({}, [*READS, "schedules.change_schedule"], 200, 403, 403),
        ({}, [*READS, *WRITES], 200, 201, 403),
        ({}, [*READS, *RUNS], 200, 403, 200),
        ({"is_staff": False}, [*READS, *WRITES], 403, 403, 403),
    ],
)
def test_users_may_do_what_their_admin_permissions_say(
    fields: dict[str, bool], permissions: list[str], reads: int, creates: int, calls: int
) -> None:
    client = APIClient()
    client.force_login(make_user(*permissions, **fields))
    assert client.get(LIST).status_code == reads
    assert client.post(LIST, NEW_THING).status_code == creates
    assert client.post(f"{LIST}/call").status_code == calls


def test_an_inactive_user_is_a_stranger() -> None:
    user = make_user(is_superuser=True)
    client = session_client(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    problem_of(client.get(LIST), 401)


def test_a_session_reads_without_and_writes_only_with_a_csrf_token() -> None:
    client = session_client(make_user(is_superuser=True))
    assert client.get(LIST).status_code == 200
    assert "CSRF" in problem_of(client.post(LIST, NEW_THING), 403)["detail"]
    client.get("/admin/password_change/")
    token = client.cookies["csrftoken"].value
    assert client.post(LIST, NEW_THING, HTTP_X_CSRFTOKEN=token).status_code == 201


def test_a_key_needs_no_csrf_token() -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {new_key()}")
    assert client.post(LIST, NEW_THING).status_code == 201
