"""Sign-ins in the admin: seen and ended there (D8)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access.models import AuditEvent, SignIn
from access.tokens import Pair, open_sign_in
from tests.signed_in import client_with
from tests.staff import staff, superuser

pytestmark = pytest.mark.django_db
LIST = "/admin/access/signin/"


def person(name: str, role: str = "viewer") -> User:
    user = User.objects.create(username=name, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    return user


def signed_in(name: str = "kim") -> tuple[SignIn, Pair]:
    return open_sign_in(user=person(name), address="192.0.2.7", now=timezone.now())


def reads(pair: Pair) -> int:
    return int(client_with(pair.access).get("/api/v1/targets").status_code)


def page_of(sign_in: SignIn) -> str:
    return f"{LIST}{sign_in.pk}/change/"


def content(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def test_list_and_page_say_who_is_signed_in_from_where_and_until_when() -> None:
    sign_in, _ = signed_in()
    now = timezone.localtime()
    for address in (LIST, page_of(sign_in)):
        text = content(superuser() if address == LIST else staff("access.view_signin"), address)
        for shown in ("kim", "192.0.2.7", "active", f"{now:%Y-%m-%d}", f"{now + timedelta(days=7):%Y-%m-%d}"):
            assert shown in text, (address, shown)


def test_no_page_shows_what_a_token_could_be_made_of() -> None:
    sign_in, pair = signed_in()
    text = content(superuser(), LIST) + content(staff("access.view_signin"), page_of(sign_in))
    assert not [secret for secret in (sign_in.refresh_id, sign_in.credentials, pair.access) if secret in text]


def test_ending_it_ends_both_tokens_at_once_and_is_on_record() -> None:
    sign_in, pair = signed_in()
    other, others = signed_in("bob")
    assert reads(pair) == 200
    root = superuser()
    root.post(f"{page_of(sign_in).removesuffix('change/')}act/end/")
    assert (reads(pair), reads(others)) == (401, 200)
    answer = Client().post("/api/v1/auth/token/refresh", {"refresh": pair.refresh}, "application/json")
    assert answer.status_code == 401
    event = AuditEvent.objects.get(action="sign_in.end")
    assert (event.actor, event.object_id, event.object_name) == ("root", str(sign_in.pk), "kim from 192.0.2.7")
    assert SignIn.objects.get(pk=other.pk).ended_at is None


def test_several_are_ended_together_and_what_is_over_is_said() -> None:
    keys = [str(signed_in(name)[0].pk) for name in ("kim", "bob", "eve")]
    SignIn.objects.filter(pk=keys[0]).update(ended_at=timezone.now())
    text = superuser().post(LIST, {"action": "end", "_selected_action": keys}, follow=True).content.decode()
    assert "Sign-ins ended: 2." in text
    assert "Kim from 192.0.2.7: This sign-in has ended already." in text
    assert not SignIn.objects.filter(ended_at=None).exists()


def _expire(sign_in: SignIn) -> None:
    SignIn.objects.filter(pk=sign_in.pk).update(expires_at=timezone.now())


def _end(sign_in: SignIn) -> None:
    SignIn.objects.filter(pk=sign_in.pk).update(ended_at=timezone.now())


def _disable(sign_in: SignIn) -> None:
    User.objects.filter(pk=sign_in.user_id).update(is_active=False)


def _new_password(sign_in: SignIn) -> None:
    User.objects.filter(pk=sign_in.user_id).update(password="md5$other")


@pytest.mark.parametrize(
    ("over", "state"), [(_expire, "expired"), (_end, "ended"), (_disable, "void"), (_new_password, "void")]
)
def test_one_that_is_over_says_how_and_offers_no_end(over: Any, state: str) -> None:
    sign_in, pair = signed_in()
    root = superuser()
    assert "act/end/" in content(root, page_of(sign_in))
    over(sign_in)
    text = content(root, page_of(sign_in))
    assert f"badge-{state}" in text
    assert ("account was disabled, or its password" in text) == (state == "void")
    assert "act/end/" not in text
    assert reads(pair) == 401


@pytest.mark.parametrize(
    ("state", "names"), [("open", {"kim"}), ("over", {"bob", "eve"}), ("banana", {"kim", "bob", "eve"})]
)
def test_the_list_is_narrowed_to_what_is_open_or_over(state: str, names: set[str]) -> None:
    signed_in("kim")
    _end(signed_in("bob")[0])
    _expire(signed_in("eve")[0])
    text = content(superuser(), f"{LIST}?state={state}")
    assert {name for name in ("kim", "bob", "eve") if f">{name}<" in text} == names


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("operator", 403), ("admin", 302)])
def test_only_the_role_admin_ends_them(role: str, status: int) -> None:
    sign_in, pair = signed_in()
    client = Client()
    client.force_login(person("eve", role))
    assert client.post(f"{LIST}{sign_in.pk}/act/end/").status_code == status
    assert reads(pair) == (401 if role == "admin" else 200)


def test_looking_is_not_ending() -> None:
    sign_in, pair = signed_in()
    viewer = staff("access.view_signin")
    viewer.post(LIST, {"action": "end", "_selected_action": [str(sign_in.pk)]})
    assert viewer.post(f"{LIST}{sign_in.pk}/act/end/").status_code == 403
    assert reads(pair) == 200
    for address in (f"{LIST}add/", f"{LIST}{sign_in.pk}/delete/"):
        assert viewer.post(address, {"post": "yes"}).status_code == 403


def test_the_list_asks_as_often_for_ten_as_for_two() -> None:
    root = superuser()
    counts = []
    for names in ("ab", "cdefghij"):
        for name in names:
            signed_in(name)
        with CaptureQueriesContext(connection) as queries:
            content(root, LIST)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_use_is_noted_once_a_minute() -> None:
    sign_in, pair = signed_in()
    assert sign_in.last_used_at is None
    reads(pair)
    first = SignIn.objects.get().last_used_at
    assert first is not None
    reads(pair)
    assert SignIn.objects.get().last_used_at == first
    SignIn.objects.update(last_used_at=first - timedelta(seconds=61))
    reads(pair)
    again = SignIn.objects.get().last_used_at
    assert again is not None
    assert again > first
