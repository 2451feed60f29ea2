"""/api/v1/api-keys: who may use the API (guarantee D8)."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from access.keys import create_key
from access.models import ApiKey, IdempotentRequest
from tests.api_client import ApiClient, wrong_places
from tests.signed_in import client_with

pytestmark = pytest.mark.django_db
SHOWN = {"id", "name", "prefix", "scopes", "cidrs", "created_at", "expires_at", "revoked_at", "last_used_at"}


@pytest.fixture
def admin() -> ApiClient:
    return ApiClient("admin")


def some_key(**fields: object) -> ApiKey:
    key, _ = create_key(name="CI", scopes=["read"], expires_at=None, now=timezone.now())
    ApiKey.objects.filter(pk=key.pk).update(**fields)
    return ApiKey.objects.get(pk=key.pk)


def test_a_new_key_is_shown_in_this_answer_only(admin: ApiClient) -> None:
    answer = admin.post("/api-keys", {"name": "CI", "scopes": ["read"], "cidrs": ["127.0.0.1"]})
    made = answer.json()
    assert answer.status_code == 201
    assert answer["Cache-Control"] == "no-store"
    assert made.keys() == SHOWN | {"key"}
    assert client_with(made["key"]).get("/api/v1/targets").status_code == 200
    detail = admin.get(f"/api-keys/{made['id']}")
    assert detail.json().keys() == SHOWN
    assert detail["ETag"] == answer["ETag"]
    assert made["key"] not in admin.get("/api-keys").content.decode()


def test_a_key_gets_read_write_and_run_unless_told_otherwise(admin: ApiClient) -> None:
    assert admin.post("/api-keys", {"name": "CI"}).json()["scopes"] == ["read", "write", "run"]


def test_a_repeated_request_gets_the_same_key_which_is_stored_encrypted(admin: ApiClient) -> None:
    first, second = (admin.post("/api-keys", {"name": "CI"}, Idempotency_Key="once") for _ in range(2))
    assert first.json() == second.json()
    assert second["Cache-Control"] == "no-store"
    assert ApiKey.objects.filter(name="CI").count() == 1
    assert first.json()["key"] not in IdempotentRequest.objects.get().body


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({}, ["/name"]),
        ({"name": ""}, ["/name"]),
        ({"name": "a\u200bb"}, ["/name"]),
        ({"name": "x", "scopes": []}, ["/scopes"]),
        ({"name": "x", "scopes": ["root"]}, ["/scopes/0"]),
        ({"name": "x", "cidrs": ["home"]}, ["/cidrs"]),
        ({"name": "x", "cidrs": "10.0.0.0/8"}, ["/cidrs"]),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, ["/expires_at"]),
        ({"name": "x", "expires_at": "tomorrow"}, ["/expires_at"]),
        ({"name": "x", "owner": "me"}, ["/owner"]),
    ],
)
def test_a_wrong_body_makes_no_key(admin: ApiClient, body: object, places: list[str]) -> None:
    assert wrong_places(admin.post("/api-keys", body)) == places
    assert not ApiKey.objects.filter(name="x").exists()


@pytest.mark.parametrize("scopes", [("read",), ("read", "write", "run")])
def test_only_the_scope_admin_sees_or_manages_keys(scopes: tuple[str, ...]) -> None:
    client, key = ApiClient(*scopes), some_key()
    answers = [
        client.get("/api-keys"),
        client.post("/api-keys", {"name": "x"}),
        client.get(f"/api-keys/{key.pk}"),
        client.patch(f"/api-keys/{key.pk}", {"name": "x"}),
        client.post(f"/api-keys/{key.pk}/revoke"),
        client.delete(f"/api-keys/{key.pk}"),
    ]
    assert [answer.status_code for answer in answers] == [403] * 6
    key.refresh_from_db()
    assert (key.name, key.revoked_at) == ("CI", None)


def test_name_networks_and_end_can_be_changed_the_scopes_not(admin: ApiClient) -> None:
    key, end = some_key(), timezone.now() + timedelta(days=1)
    body = {"name": "other", "cidrs": ["10.0.0.1/8"], "expires_at": end.isoformat(), "scopes": ["admin"]}
    answer = admin.patch(f"/api-keys/{key.pk}", body)
    assert answer.status_code == 200
    key.refresh_from_db()
    assert (key.name, key.cidrs, key.expires_at, key.scopes) == ("other", ["10.0.0.0/8"], end, ["read"])


def test_two_writers_do_not_overwrite_each_other(admin: ApiClient) -> None:
    key = some_key()
    read = admin.get(f"/api-keys/{key.pk}")["ETag"]
    assert admin.patch(f"/api-keys/{key.pk}", {"name": "first"}, If_Match=read).status_code == 200
    assert admin.patch(f"/api-keys/{key.pk}", {"name": "second"}, If_Match=read).status_code == 412
    assert admin.delete(f"/api-keys/{key.pk}", If_Match=read).status_code == 412
    key.refresh_from_db()
    assert (key.name, key.revoked_at) == ("first", None)


def test_use_does_not_change_the_version(admin: ApiClient) -> None:
    key = some_key()
    before = admin.get(f"/api-keys/{key.pk}")["ETag"]
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now())
    assert admin.get(f"/api-keys/{key.pk}")["ETag"] == before


@pytest.mark.parametrize("way", ["revoke", "delete"])
def test_a_revoked_key_is_useless_at_once_and_stays_on_record(admin: ApiClient, way: str) -> None:
    made = admin.post("/api-keys", {"name": "CI"}).json()
    path = f"/api-keys/{made['id']}"
    answer = admin.post(f"{path}/revoke") if way == "revoke" else admin.delete(path)
    assert answer.status_code == (200 if way == "revoke" else 204)
    assert client_with(made["key"]).get("/api/v1/targets").status_code == 401
    assert admin.get(path).json()["revoked_at"] is not None
    assert [admin.post(f"{path}/revoke").status_code, admin.delete(path).status_code] == [409, 409]
    assert admin.patch(path, {"name": "again"}).status_code == 409


def test_the_list_can_be_of_revoked_keys_or_of_the_others(admin: ApiClient) -> None:
    revoked = some_key(revoked_at=timezone.now())
    listed = admin.get("/api-keys", revoked="true").json()
    assert (listed["count"], listed["results"][0]["id"]) == (1, str(revoked.pk))
    assert admin.get("/api-keys", revoked="false").json()["count"] == 1
    assert admin.get("/api-keys").json()["count"] == 2
    assert wrong_places(admin.get("/api-keys", revoked="maybe")) == ["?revoked"]


def test_an_unknown_key_is_a_404(admin: ApiClient) -> None:
    for path in (f"/api-keys/{uuid4()}", "/api-keys/nope"):
        assert admin.get(path).status_code == 404
