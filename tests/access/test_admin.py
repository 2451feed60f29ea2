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
from tests.html_forms import errors_of, form_data
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
    assert find_key(text=text, now=timezone.now(), address="").scopes == ["read", "run"]
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
    assert "Keys revoked: 2." in response.content.decode()
    assert not ApiKey.objects.filter(revoked_at=None).exists()


def test_the_scopes_of_a_key_stay_and_it_is_never_deleted(admin: Client) -> None:
    key = make_key()
    admin.post(f"{LIST}{key.pk}/change/", {"name": "other", "scopes": ["admin"], "cidrs": "10.0.0.0/8\n::1"})
    key.refresh_from_db()
    assert (key.name, key.scopes, key.cidrs) == ("other", ["read"], ["10.0.0.0/8", "::1/128"])
    admin.post(f"{LIST}{key.pk}/change/", {"name": "other", "cidrs": ""})
    key.refresh_from_db()
    assert key.cidrs == []
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


def test_a_button_revokes_one(admin: Client) -> None:
    key = make_key()
    admin.post(f"{LIST}{key.pk}/act/revoke/")
    key.refresh_from_db()
    assert key.revoked_at is not None
    page = admin.get(f"{LIST}{key.pk}/change/").content.decode()
    assert "act/revoke" not in page
    assert 'name="_save"' not in page


def test_nobody_makes_a_key_that_may_more_than_its_maker() -> None:
    client = Client()
    client.force_login(make_user("access.add_apikey", "access.view_apikey"))
    response = client.post(ADD, {"name": "CI", "scopes": ["read"]})
    assert "which you don't have yourself" in errors_of(response)["scopes"][0]
    assert not ApiKey.objects.exists()


def test_a_network_that_is_none_is_refused_at_its_field(admin: Client) -> None:
    response = admin.post(ADD, {"name": "CI", "scopes": ["read"], "cidrs": "10.0.0.0/8\nhome"})
    assert "'home' is neither" in errors_of(response)["cidrs"][0]


def test_a_form_that_was_open_too_long_overwrites_nothing(admin: Client) -> None:
    key = make_key()
    page = f"{LIST}{key.pk}/change/"
    shown = form_data(admin.get(page).content.decode(), "apikey_form")
    ApiKey.objects.filter(pk=key.pk).update(cidrs=["10.0.0.0/8"])
    response = admin.post(page, {**shown, "name": "mine"})
    assert "nothing was overwritten" in errors_of(response)["__all__"][0]
    assert "differs in: Name, Only from" in errors_of(response)["__all__"][0]
    key.refresh_from_db()
    assert (key.name, key.cidrs) == ("CI", ["10.0.0.0/8"])
    again = form_data(response.content.decode(), "apikey_form")
    assert again["name"] == "mine"
    admin.post(page, again)
    key.refresh_from_db()
    assert (key.name, key.cidrs) == ("mine", [])


def test_use_of_a_key_makes_no_form_stale(admin: Client) -> None:
    key = make_key()
    page = f"{LIST}{key.pk}/change/"
    shown = form_data(admin.get(page).content.decode(), "apikey_form")
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now())
    assert admin.post(page, {**shown, "name": "mine"}).status_code == 302
