"""API keys in the admin."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from access.keys import create_key, find_key
from access.models import ApiKey
from tests.signed_in import make_user

pytestmark = pytest.mark.django_db
LIST, ADD = "/admin/access/apikey/", "/admin/access/apikey/add/"
KEY = re.compile(r"aps_[A-Za-z0-9_-]{43}")


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(make_user(is_superuser=True))
    return client


def make_key(**values: object) -> ApiKey:
    key, _ = create_key(name="CI", scopes=["read"], expires_at=None, now=timezone.now())
    ApiKey.objects.filter(pk=key.pk).update(**values)
    key.refresh_from_db()
    return key


def test_a_new_key_is_shown_once(admin: Client) -> None:
    response = admin.post(ADD, {"name": "CI", "scopes": ["read", "run"]}, follow=True)
    (text,) = set(KEY.findall(response.content.decode()))
    assert find_key(text=text, now=timezone.now()).scopes == ["read", "run"]
    assert not KEY.search(admin.get(LIST).content.decode())


def test_the_admin_log_knows_the_key_that_was_made(admin: Client) -> None:
    admin.post(ADD, {"name": "CI", "scopes": ["read"]})
    key = ApiKey.objects.get()
    assert User.objects.get().logentry_set.get().object_id == str(key.pk)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("name", {"name": "", "scopes": ["read"]}),
        ("name", {"name": "a\u200bb", "scopes": ["read"]}),
        ("scopes", {"name": "CI", "scopes": ["root"]}),
        ("scopes", {"name": "CI"}),
        ("expires_at", {"name": "CI", "scopes": ["read"], "expires_at_0": "2020-01-01", "expires_at_1": "00:00"}),
    ],
)
def test_a_wrong_form_makes_no_key(admin: Client, field: str, values: dict[str, object]) -> None:
    response = admin.post(ADD, values)
    assert field in response.context["adminform"].form.errors
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("page", ["list", "detail"])
def test_no_page_shows_the_hash(admin: Client, page: str) -> None:
    key = make_key()
    content = admin.get(LIST if page == "list" else f"{LIST}{key.pk}/change/").content.decode()
    assert key.prefix in content
    assert key.key_hash not in content


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({}, "active"),
        ({"revoked_at": timezone.now()}, "revoked"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "expired"),
    ],
)
def test_the_list_says_whether_a_key_works(admin: Client, values: dict[str, object], state: str) -> None:
    make_key(**values)
    assert f'<td class="field-state">{state}</td>' in admin.get(LIST).content.decode()


def test_keys_are_revoked_together(admin: Client) -> None:
    keys = [str(make_key().pk) for _ in range(2)]
    response = admin.post(LIST, {"action": "revoke", "_selected_action": keys}, follow=True)
    assert "2 keys revoked." in response.content.decode()
    assert not ApiKey.objects.filter(revoked_at=None).exists()


def test_a_key_is_neither_edited_nor_deleted(admin: Client) -> None:
    key = make_key()
    admin.post(f"{LIST}{key.pk}/change/", {"name": "other", "scopes": ["admin"]})
    key.refresh_from_db()
    assert (key.name, key.scopes) == ("CI", ["read"])
    assert admin.post(f"{LIST}{key.pk}/delete/", {"post": "yes"}).status_code == 403


def test_viewing_is_not_revoking() -> None:
    key = make_key()
    viewer = Client()
    viewer.force_login(make_user("access.view_apikey"))
    assert viewer.get(LIST).status_code == 200
    assert viewer.get(ADD).status_code == 403
    viewer.post(LIST, {"action": "revoke", "_selected_action": [str(key.pk)]})
    key.refresh_from_db()
    assert key.revoked_at is None
