"""What viewers, operators, admins and keys may do: in the admin site and in the API (guarantee D8)."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from rest_framework.test import APIClient

from access.models import Scope
from access.principals import scopes_of_user
from access.roles import PERMISSIONS, Role, sync_roles
from scheduler_project.env_file import BASE_DIR
from tests.signed_in import key_client, make_user
from tests.url_walk import api_operations

pytestmark = [pytest.mark.any_database, pytest.mark.django_db, pytest.mark.no_cover]
SCOPES = {
    None: set(),
    Role.VIEWER: {"read"},
    Role.OPERATOR: {"read", "write", "run"},
    Role.ADMIN: {"read", "write", "run", "admin"},
}
READ, WRITE, RUN, ADMIN = Scope.READ, Scope.WRITE, Scope.RUN, Scope.ADMIN
# Written by hand, so that a slip in a view's required_scopes shows: each verb of each address, and what it needs.
NEEDS: dict[tuple[str, str], Scope] = {
    ("get", "targets"): READ,
    ("post", "targets"): WRITE,
    ("get", "targets/{id}"): READ,
    ("patch", "targets/{id}"): WRITE,
    ("delete", "targets/{id}"): WRITE,
    ("post", "targets/{id}/test"): RUN,
    ("get", "schedules"): READ,
    ("post", "schedules"): WRITE,
    ("get", "schedules/{id}"): READ,
    ("patch", "schedules/{id}"): WRITE,
    ("delete", "schedules/{id}"): WRITE,
    ("post", "schedules/{id}/pause"): WRITE,
    ("post", "schedules/{id}/resume"): WRITE,
    ("post", "schedules/{id}/run"): RUN,
    ("get", "schedules/{id}/preview"): READ,
    ("post", "schedules/preview"): READ,
    ("get", "schedules/{id}/explain"): READ,
    ("get", "runs"): READ,
    ("get", "runs/{id}"): READ,
    ("post", "runs/{id}/cancel"): RUN,
    ("post", "runs/{id}/replay"): RUN,
    ("post", "runs/{id}/resolve"): RUN,
    ("get", "metrics"): READ,
    ("get", "metrics/prometheus"): READ,
    ("get", "api-keys"): ADMIN,
    ("post", "api-keys"): ADMIN,
    ("get", "api-keys/{id}"): ADMIN,
    ("patch", "api-keys/{id}"): ADMIN,
    ("delete", "api-keys/{id}"): ADMIN,
    ("post", "api-keys/{id}/revoke"): ADMIN,
    ("get", "audit"): ADMIN,
    ("get", "secrets"): ADMIN,
    ("post", "secrets"): ADMIN,
    ("get", "secrets/{id}"): ADMIN,
    ("patch", "secrets/{id}"): ADMIN,
    ("delete", "secrets/{id}"): ADMIN,
}
OPEN = {
    ("get", "health"),
    ("get", "openapi.json"),
    ("post", "auth/token"),
    ("post", "auth/token/refresh"),
    ("post", "auth/logout"),
}
NOWHERE = UUID(int=7 << 76 | 2 << 62)


def person(role: Role | None, **fields: Any) -> User:
    user = make_user(username=f"a-{role}", **fields)
    if role is not None:
        user.groups.add(Group.objects.get(name=role))
    return user


def test_every_operation_is_in_the_table() -> None:
    assert api_operations() == NEEDS.keys() | OPEN


@pytest.mark.parametrize("role", [None, *Role])
@pytest.mark.parametrize(("verb", "path"), sorted(NEEDS))
def test_the_api_lets_a_role_do_what_its_scopes_say(role: Role | None, verb: str, path: str) -> None:
    client = APIClient(raise_request_exception=False)
    client.force_login(person(role))
    answer = getattr(client, verb)(f"/api/v1/{path.replace('{id}', str(NOWHERE))}")
    allowed = NEEDS[verb, path] in SCOPES[role]
    # Allowed, the request fails for its empty body or its unknown id, but not for want of rights.
    assert (answer.status_code != 403) == allowed, answer.content
    assert answer.status_code < 500


@pytest.mark.parametrize(("verb", "path"), sorted(NEEDS))
def test_of_keys_with_one_scope_each_only_the_right_one_opens_it(verb: str, path: str) -> None:
    # A role's scopes come together: only these keys tell a write that should have been a run.
    address = f"/api/v1/{path.replace('{id}', str(NOWHERE))}"
    opens = {scope for scope in Scope if getattr(key_client(scope), verb)(address).status_code != 403}
    assert opens == {NEEDS[verb, path], ADMIN}


@pytest.mark.parametrize("role", list(Role))
def test_a_role_gives_exactly_its_scopes(role: Role) -> None:
    assert scopes_of_user(person(role)) == SCOPES[role]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("fields", [{"is_active": False}, {"is_staff": False}])
def test_a_role_gives_nothing_to_those_who_are_not_active_staff(role: Role, fields: dict[str, bool]) -> None:
    assert scopes_of_user(person(role, **fields)) == set()


def test_parts_of_the_admin_role_do_not_give_the_scope_admin() -> None:
    user = make_user("access.view_apikey", "access.add_apikey", "access.change_apikey")
    assert scopes_of_user(user) == set()


def may(role: Role | None, verb: str, model: type[Any]) -> bool:
    options = model._meta
    return role is not None and f"{options.app_label}.{verb}_{options.model_name}" in PERMISSIONS[role]


@pytest.mark.parametrize("role", [None, *Role])
def test_the_admin_site_shows_and_adds_what_the_role_says(role: Role | None) -> None:
    client = Client()
    client.force_login(person(role))
    for model, page in admin.site._registry.items():
        base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        sees = may(role, "view", model)
        assert (client.get(base).status_code == 200) == sees, base
        adds = may(role, "add", model) and page.has_add_permission(_request_of(client))
        assert (client.get(f"{base}add/").status_code == 200) == adds, base
        assert (client.post(f"{base}add/", {}).status_code == 403) == (not adds), base


def _request_of(client: Client) -> Any:
    return client.get("/admin/").wsgi_request


def test_migrating_again_mends_the_roles_and_leaves_other_groups_alone() -> None:
    viewer = Group.objects.get(name="viewer")
    own = Group.objects.create(name="night shift")
    extra = Permission.objects.get(codename="add_run")
    viewer.permissions.add(extra)
    own.permissions.add(extra)
    Group.objects.get(name="operator").delete()
    sync_roles()
    assert extra not in viewer.permissions.all()
    assert extra in own.permissions.all()
    assert extra in Group.objects.get(name="operator").permissions.all()


def test_an_admin_makes_operators_and_no_superuser() -> None:
    client, user = Client(), User.objects.create(username="bob")
    client.force_login(person(Role.ADMIN))
    page = f"/admin/auth/user/{user.pk}/change/"
    group = Group.objects.get(name="operator")
    values = {"username": "bob", "is_active": "on", "is_staff": "on", "is_superuser": "on", "groups": [group.pk]}
    assert client.post(page, values).status_code == 302
    user.refresh_from_db()
    assert (user.is_staff, user.is_superuser) == (True, False)
    assert list(user.groups.all()) == [group]


@pytest.mark.parametrize("address", ["change/", "password/", "delete/"])
def test_an_admin_does_not_touch_superusers(address: str) -> None:
    root = User.objects.create_superuser("root", password="correct horse")
    client = Client()
    client.force_login(person(Role.ADMIN))
    values = {"username": "root", "password1": "battery staple", "password2": "battery staple", "post": "yes"}
    assert client.post(f"/admin/auth/user/{root.pk}/{address}", values).status_code == 403
    delete = {"action": "delete_selected", "_selected_action": [str(root.pk)], "post": "yes"}
    client.post("/admin/auth/user/", delete)
    root.refresh_from_db()
    assert root.check_password("correct horse")
    assert root.is_superuser


def test_an_admin_does_not_change_what_a_role_means() -> None:
    client = Client()
    client.force_login(person(Role.ADMIN))
    group = Group.objects.get(name="viewer")
    assert client.post(f"/admin/auth/group/{group.pk}/change/", {"name": "viewer"}).status_code == 403
    assert client.post("/admin/auth/group/add/", {"name": "more"}).status_code == 403


def test_the_readme_has_the_matrix() -> None:
    text = (BASE_DIR / "README.md").read_text(encoding="utf-8")
    for role in Role:
        assert re.search(rf"^\| `{role}` \|", text, re.MULTILINE), role
