"""Who asks, and what they may do. tests/scheduler_project/test_authentication.py asks over HTTP."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from access.models import ApiKey
from access.principals import KeyPrincipal, principal_of, scopes_of, scopes_of_key, scopes_of_user
from tests.signed_in import make_user

KEY = ApiKey(id=uuid.uuid4(), name="CI", scopes=["read"])


def request_of(user: Any, auth: Any = None) -> Request:
    request = Request(APIRequestFactory().get("/"))
    request.user, request.auth = user, auth
    return request


@pytest.mark.parametrize(
    ("scopes", "granted"),
    [
        (["read"], {"read"}),
        (["admin"], {"read", "write", "run", "admin"}),
        ([], set()),
        (["read", "left over from another version"], {"read"}),
    ],
)
def test_a_key_has_its_scopes_and_admin_has_all(scopes: list[str], granted: set[str]) -> None:
    assert scopes_of_key(ApiKey(scopes=scopes)) == granted


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "granted"),
    [
        ({"is_superuser": True}, {"read", "write", "run", "admin"}),
        ({"is_superuser": True, "is_staff": False}, {"read", "write", "run", "admin"}),
        ({}, set()),
        ({"is_staff": False}, set()),
        ({"is_active": False}, set()),
        ({"is_active": False, "is_superuser": True}, set()),
    ],
)
def test_users_have_what_their_standing_gives(fields: dict[str, bool], granted: set[str]) -> None:
    assert scopes_of_user(make_user(**fields)) == granted


@pytest.mark.django_db
def test_names_of_keys_and_users_never_meet() -> None:
    user = make_user()
    names = {principal_of(request_of(user)), principal_of(request_of(KeyPrincipal(KEY), KEY))}
    assert names == {f"user:{user.pk}", f"key:{KEY.id}"}
    assert all(len(name) <= 64 for name in names)


def test_strangers_may_do_nothing() -> None:
    assert scopes_of(request_of(AnonymousUser())) == frozenset()


def test_a_key_is_no_user_of_the_admin() -> None:
    principal = KeyPrincipal(KEY)
    assert str(principal) == "CI"
    assert not (principal.is_staff or principal.is_superuser or principal.has_perm("access.view_apikey"))
