"""Signing in with a password: the admin's page and POST /auth/token, with one lock-out for both (D8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.hashers import get_hasher
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from rest_framework_simplejwt.settings import api_settings

from access.lockout import MOST_FOR_ACCOUNT
from access.models import AuditEvent, SignIn
from access.tokens import forget_old
from tests.signed_in import client_with, pointers_of, problem_of

pytestmark = pytest.mark.django_db
TOKEN, REFRESH, LOGOUT = "/api/v1/auth/token", "/api/v1/auth/token/refresh", "/api/v1/auth/logout"
PASSWORD = "correct horse"
JSON = "application/json"
LIST = "/api/v1/targets"
Way = Callable[..., Any]


@pytest.fixture(autouse=True)
def own_counts(settings: Settings) -> Iterator[None]:
    """Counts of the test's own, and passwords that take no second each."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def ada() -> User:
    user = User.objects.create_user("ada", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name="operator"))
    return user


def token(username: str = "ada", password: str = PASSWORD, **extra: Any) -> Any:
    return Client().post(TOKEN, {"username": username, "password": password}, JSON, **extra)


def page(username: str = "ada", password: str = PASSWORD, **extra: Any) -> Any:
    return Client().post("/admin/login/?next=/admin/", {"username": username, "password": password}, **extra)


def post(path: str, **body: str) -> Any:
    return Client().post(path, body, JSON)


def reads(access: str) -> int:
    return int(client_with(access).get(LIST).status_code)


WAYS = pytest.mark.parametrize("way", [token, page])


def test_a_password_gives_a_pair_of_tokens(ada: User) -> None:
    answer = token()
    pair = answer.json()
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert (pair["token_type"], pair["expires_in"]) == ("Bearer", 600)
    assert pair["scopes"] == ["read", "write", "run"]
    assert reads(pair["access"]) == 200
    assert reads(pair["refresh"]) == 401


@pytest.mark.parametrize("fields", [{"is_active": False}, {"password": "x"}, {"username": "bob"}])
def test_every_wrong_sign_in_is_answered_the_same(ada: User, fields: dict[str, Any]) -> None:
    right = problem_of(token(password="wrong"), 401)
    User.objects.filter(pk=ada.pk).update(**fields)
    wrong = token()
    assert problem_of(wrong, 401)["detail"] == right["detail"]
    assert "Bearer" in wrong["WWW-Authenticate"]


@WAYS
@pytest.mark.parametrize("username", ["ada", "nobody"])
def test_an_unknown_user_costs_as_much_as_a_wrong_password(
    ada: User, way: Way, username: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = []
    hasher = type(get_hasher())
    encode = hasher.encode

    def counted(*args: Any, **kwargs: Any) -> str:
        hashed.append(1)
        return encode(*args, **kwargs)

    monkeypatch.setattr(hasher, "encode", counted)
    way(username=username, password="wrong")
    assert len(hashed) == 1


@WAYS
@pytest.mark.parametrize("username", ["ada", "nobody"])
def test_too_many_failures_lock_both_ways_in_whoever_it_is(ada: User, way: Way, username: str) -> None:
    for _ in range(MOST_FOR_ACCOUNT):
        assert way(username=username, password="wrong").status_code in (200, 401)
    for other in (token, page):
        answer = other(username=username)
        assert answer.status_code == 429
        assert int(answer["Retry-After"]) > 800
        assert "Too many failed sign-ins. Try again in 15 minutes." in answer.content.decode()
    assert token(REMOTE_ADDR="192.0.2.99").status_code == 200
    actions = set(AuditEvent.objects.filter(refused=True).values_list("action", flat=True))
    assert actions == {"login.failed", "login.lockout", "login.locked"}


def test_a_made_up_forwarded_address_does_not_help(ada: User) -> None:
    for number in range(MOST_FOR_ACCOUNT):
        token(password="wrong", HTTP_X_FORWARDED_FOR=f"192.0.2.{number}")
    assert token(HTTP_X_FORWARDED_FOR="192.0.2.99").status_code == 429


@WAYS
def test_both_ways_are_throttled_by_address(ada: User, way: Way, settings: Settings) -> None:
    settings.API_THROTTLE = "2/hour"
    assert [way(password="wrong").status_code == 429 for _ in range(3)] == [False, False, True]
    refused = way()
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 0


@WAYS
@pytest.mark.parametrize("username", ["a\0da", "x" * 5000, "é" * 200])
def test_odd_names_are_no_error(ada: User, way: Way, username: str) -> None:
    assert way(username=username).status_code in (200, 401, 422)


@pytest.mark.parametrize(
    ("body", "places"),
    [({}, ["/password", "/username"]), ({"username": 1, "password": None}, ["/password", "/username"])],
)
def test_a_wrong_body_is_a_422(body: dict[str, Any], places: list[str]) -> None:
    assert sorted(pointers_of(Client().post(TOKEN, body, JSON))) == places


def test_who_has_no_role_gets_no_token(ada: User) -> None:
    ada.groups.clear()
    assert "no role" in problem_of(token(), 403)["detail"]
    assert not SignIn.objects.exists()


def test_a_refresh_token_is_good_once_and_a_copy_ends_the_sign_in(ada: User) -> None:
    first = token().json()
    second = post(REFRESH, refresh=first["refresh"]).json()
    assert reads(second["access"]) == 200
    assert "used before" in problem_of(post(REFRESH, refresh=first["refresh"]), 401)["detail"]
    assert reads(second["access"]) == 401
    assert post(REFRESH, refresh=second["refresh"]).status_code == 401
    assert AuditEvent.objects.filter(action="token.reused", refused=True).count() == 1


def test_signing_out_ends_both_tokens_at_once(ada: User) -> None:
    pair = token().json()
    assert post(LOGOUT, refresh=pair["refresh"]).status_code == 204
    assert reads(pair["access"]) == 401
    assert post(REFRESH, refresh=pair["refresh"]).status_code == 401
    assert post(LOGOUT, refresh=pair["refresh"]).status_code == 401


def test_a_disabled_account_ends_its_tokens_at_once(ada: User) -> None:
    pair = token().json()
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert "disabled" in problem_of(client_with(pair["access"]).get(LIST), 401)["detail"]
    assert post(REFRESH, refresh=pair["refresh"]).status_code == 401


def test_another_password_ends_the_tokens_at_once(ada: User) -> None:
    pair = token().json()
    ada.set_password("battery staple")
    ada.save()
    assert reads(pair["access"]) == 401
    assert post(REFRESH, refresh=pair["refresh"]).status_code == 401


def test_a_demoted_user_may_at_once_do_only_what_is_left(ada: User) -> None:
    client = client_with(token().json()["access"])
    body = {"name": "x", "url": "https://example.com/"}
    assert client.post(LIST, body).status_code == 201
    ada.groups.set([Group.objects.get(name="viewer")])
    assert client.post(LIST, body).status_code == 403
    assert client.get(LIST).status_code == 200
    User.objects.filter(pk=ada.pk).update(is_staff=False)
    assert client.get(LIST).status_code == 403


@pytest.mark.parametrize("text", ["a.b.c", "..", "eyJhbGciOiJub25lIn0.eyJzaWQiOiJ4In0.", "aps_.x.y"])
def test_a_made_up_token_is_a_401(ada: User, text: str) -> None:
    problem_of(client_with(text).get(LIST), 401)
    problem_of(post(REFRESH, refresh=text), 401)
    problem_of(post(LOGOUT, refresh=text), 401)


def test_a_token_of_another_key_is_a_401(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = token().json()
    head, body, signature = pair["access"].split(".")
    assert reads(f"{head}.{body}.{signature[::-1]}") == 401
    assert api_settings.SIGNING_KEY not in ("", None)


def test_tokens_expire(ada: User) -> None:
    pair = token().json()
    SignIn.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert reads(pair["access"]) == 401
    assert post(REFRESH, refresh=pair["refresh"]).status_code == 401


def test_the_database_holds_nothing_that_opens_anything(ada: User) -> None:
    pair = token().json()
    stored = str(list(SignIn.objects.values()))
    for text in (pair["access"], pair["refresh"]):
        assert not any(part in stored for part in text.split("."))


def test_expired_sign_ins_are_forgotten_in_batches(ada: User) -> None:
    for _ in range(3):
        token()
    now = timezone.now()
    SignIn.objects.update(expires_at=now)
    token()
    assert forget_old(now=now + timedelta(seconds=1), limit=2) == 2
    assert forget_old(now=now + timedelta(seconds=1)) == 1
    assert SignIn.objects.count() == 1


def test_a_token_needs_no_csrf_token(ada: User) -> None:
    access = token().json()["access"]
    client = Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {access}"})
    assert client.post(LIST, {"name": "x", "url": "https://example.com/"}, JSON).status_code == 201


def test_staff_without_a_role_still_reach_their_empty_dashboard(ada: User) -> None:
    ada.groups.clear()
    assert page().status_code == 302
