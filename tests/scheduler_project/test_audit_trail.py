"""What events say about our things; and that whatever changes something leaves one (D11)."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.core.management import call_command, get_commands
from django.test import Client
from django.utils import timezone

from access.keys import create_key
from access.models import ApiKey, AuditEvent, LoginFailure, SignIn
from access.tokens import open_sign_in
from scheduler_project import first_start
from scheduler_project.audit_trail import KINDS, acting_as_command, changes_between, thing_of
from scheduler_project.logs import OUR_APPS
from targets.masking import MASK
from targets.models import Secret, Target
from targets.secret_services import create_secret
from tests.api_client import ApiClient
from tests.factories import NOW, make_ended_run, make_run, make_schedule, make_target
from tests.html_forms import form_data
from tests.staff import superuser
from tests.targets.auths import EACH
from tests.url_walk import api_operations

pytestmark = pytest.mark.django_db
JSON = "application/json"
TARGET = {"name": "Orders", "url": "https://example.com/"}
Recipe = Callable[[], tuple[str, Any]]


def make_key() -> ApiKey:
    return create_key(name="CI", scopes=["read"], expires_at=None, now=timezone.now())[0]


def make_sign_in() -> SignIn:
    user = User.objects.create(username=f"u{uuid4()}"[:30])
    return open_sign_in(user=user, address="192.0.2.7", now=timezone.now())[0]


def make_secret() -> Secret:
    return create_secret(fields={"name": "crm", "value": "canary"}, now=timezone.now())


def paused() -> Any:
    return make_schedule(status="paused", next_run_at=None)


# How to make each state-changing operation of the API succeed: the path, and the body.
RECIPES: dict[tuple[str, str], Recipe] = {
    ("post", "targets"): lambda: ("/targets", TARGET),
    ("patch", "targets/{id}"): lambda: (f"/targets/{make_target().pk}", {"name": "other"}),
    ("delete", "targets/{id}"): lambda: (f"/targets/{make_target().pk}", None),
    ("post", "targets/{id}/test"): lambda: (f"/targets/{make_target().pk}/test", None),
    ("post", "schedules"): lambda: (
        "/schedules",
        {"name": "x", "target_id": str(make_target().pk), "schedule_type": "interval", "interval_seconds": 60},
    ),
    ("patch", "schedules/{id}"): lambda: (f"/schedules/{make_schedule().pk}", {"name": "other"}),
    ("delete", "schedules/{id}"): lambda: (f"/schedules/{make_schedule().pk}", None),
    ("post", "schedules/{id}/pause"): lambda: (f"/schedules/{make_schedule().pk}/pause", {"reason": "why not"}),
    ("post", "schedules/{id}/resume"): lambda: (f"/schedules/{paused().pk}/resume", None),
    ("post", "schedules/{id}/run"): lambda: (f"/schedules/{make_schedule().pk}/run", None),
    ("post", "runs/{id}/cancel"): lambda: (f"/runs/{make_run().pk}/cancel", None),
    ("post", "runs/{id}/replay"): lambda: (f"/runs/{make_ended_run().pk}/replay", None),
    ("post", "runs/{id}/resolve"): lambda: (f"/runs/{make_ended_run(status='failed').pk}/resolve", {"note": "done"}),
    ("post", "secrets"): lambda: ("/secrets", {"name": "crm", "value": "canary"}),
    ("patch", "secrets/{id}"): lambda: (f"/secrets/{make_secret().pk}", {"value": "canary-2"}),
    ("delete", "secrets/{id}"): lambda: (f"/secrets/{make_secret().pk}", None),
    ("post", "api-keys"): lambda: ("/api-keys", {"name": "x"}),
    ("patch", "api-keys/{id}"): lambda: (f"/api-keys/{make_key().pk}", {"name": "other"}),
    ("delete", "api-keys/{id}"): lambda: (f"/api-keys/{make_key().pk}", None),
    ("post", "api-keys/{id}/revoke"): lambda: (f"/api-keys/{make_key().pk}/revoke", None),
}
# A POST only because its question is long.
ONLY_ASKS = {("post", "schedules/preview")}
# Tried below, one after the other.
SIGNING_IN = {("post", "auth/token"), ("post", "auth/token/refresh"), ("post", "auth/logout")}
THING_OF_PATH = {
    "targets": "target",
    "schedules": "schedule",
    "runs": "run",
    "secrets": "secret",
    "api-keys": "api_key",
}


def test_every_operation_that_changes_something_is_tried_here() -> None:
    changing = {(verb, path) for verb, path in api_operations() if verb != "get"}
    assert changing == RECIPES.keys() | ONLY_ASKS | SIGNING_IN


@pytest.mark.parametrize(("verb", "path"), sorted(RECIPES))
def test_every_change_through_the_api_leaves_one_event(verb: str, path: str) -> None:
    address, body = RECIPES[verb, path]()
    client = ApiClient("admin")
    answer = client.send(verb.upper(), address, body)
    assert answer.status_code < 300, answer.content
    event = AuditEvent.objects.get()
    last = path.rpartition("/")[2]
    expected = (
        {"post": "create", "patch": "update", "delete": "delete"}[verb] if last in (*THING_OF_PATH, "{id}") else last
    )
    if (verb, path) == ("delete", "api-keys/{id}"):
        expected = "revoke"
    assert event.action == f"{THING_OF_PATH[path.partition('/')[0]]}.{expected}"
    assert (event.actor_type, event.actor, event.address) == ("key", "tests", "127.0.0.1")
    assert event.object_id
    assert event.key
    assert event.request_id == answer["X-Request-ID"]
    assert "canary" not in str(event.changes)


@pytest.mark.parametrize(("verb", "path"), sorted(RECIPES))
def test_a_change_that_is_refused_leaves_no_event_of_a_change(verb: str, path: str) -> None:
    nowhere = UUID(int=7 << 76 | 2 << 62)
    ApiClient("admin").send(verb.upper(), f"/{path.replace('{id}', str(nowhere))}", {"no such field": 1})
    assert not AuditEvent.objects.exists()


def test_a_sign_in_leaves_an_event_for_each_step() -> None:
    user = User.objects.create_superuser("eve", password="correct horse")
    client = Client()
    pair = client.post("/api/v1/auth/token", {"username": "eve", "password": "correct horse"}, JSON).json()
    pair = client.post("/api/v1/auth/token/refresh", {"refresh": pair["refresh"]}, JSON).json()
    client.post("/api/v1/auth/logout", {"refresh": pair["refresh"]}, JSON)
    events = AuditEvent.objects.order_by("at")
    assert [event.action for event in events] == ["user.login", "user.refresh", "user.logout"]
    assert {(event.actor_type, event.actor, event.object_id) for event in events} == {("user", "eve", str(user.pk))}
    assert pair["refresh"] not in str(list(events.values()))


def test_a_repeated_post_is_one_event() -> None:
    client = ApiClient("admin")
    for _ in range(2):
        client.post("/targets", TARGET, Idempotency_Key="once")
    assert AuditEvent.objects.count() == 1


# --- The admin site -------------------------------------------------------------------------------------------
def row_of(model: type[Any]) -> Any:
    rows: dict[str, Callable[[], Any]] = {
        "target": make_target,
        "schedule": make_schedule,
        "run": lambda: make_run(make_schedule()),
        "apikey": make_key,
        "secret": make_secret,
        "user": lambda: User.objects.create(username="bob"),
        "group": lambda: Group.objects.create(name="night shift"),
        "signin": make_sign_in,
        "loginfailure": lambda: LoginFailure.objects.create(subject=str(uuid4()), first_at=NOW, last_at=NOW),
    }
    return rows[str(model._meta.model_name)]()


# What the form of a new row needs; each page that can add must be here.
NEW: dict[str, Callable[[], dict[str, Any]]] = {
    "target": lambda: TARGET,
    "schedule": lambda: {
        "name": "x",
        "target": str(make_target().pk),
        "schedule_type": "interval",
        "interval_seconds": "60",
    },
    "apikey": lambda: {"name": "x", "scopes": ["read"]},
    "secret": lambda: {"name": "crm", "value": "canary"},
    "user": lambda: {"username": "bob", "password1": "correct horse", "password2": "correct horse"},
    "group": lambda: {"name": "night shift"},
}
# The field that an edit changes.
EDITED = {"secret": "name", "target": "name", "schedule": "name", "apikey": "name", "user": "username", "group": "name"}
# Verbs of lists and buttons that only a row in some state allows.
STATES: dict[str, Callable[[], Any]] = {
    "replay": make_ended_run,
    "resolve": lambda: make_ended_run(status="failed"),
    "resume": paused,
}


@pytest.fixture
def root() -> Client:
    return superuser()


def pages(permission: str, root: Client) -> list[tuple[type[Any], Any, str]]:
    request = root.get("/admin/").wsgi_request
    return [
        (model, page, f"/admin/{model._meta.app_label}/{model._meta.model_name}/")
        for model, page in admin.site._registry.items()
        if getattr(page, f"has_{permission}_permission")(request)
    ]


def new_events(call: Callable[[], Any]) -> list[str]:
    before = set(AuditEvent.objects.values_list("pk", flat=True))
    answer = call()
    assert answer.status_code < 400, answer.content
    return list(AuditEvent.objects.exclude(pk__in=before).values_list("action", flat=True))


def test_every_page_that_adds_leaves_an_event(root: Client) -> None:
    for model, _, address in pages("add", root):
        values = NEW[str(model._meta.model_name)]()
        kind = KINDS[model].name
        assert new_events(lambda: root.post(f"{address}add/", values)) == [f"{kind}.create"], address  # noqa: B023


def test_every_page_that_edits_leaves_an_event(root: Client) -> None:
    for model, _, address in pages("change", root):
        row, name = row_of(model), str(model._meta.model_name)
        page = f"{address}{row.pk}/change/"
        values = form_data(root.get(page).content.decode(), f"{name}_form")
        values[EDITED[name]] = "other"
        kind = KINDS[model].name
        assert new_events(lambda: root.post(page, values)) == [f"{kind}.update"], address  # noqa: B023
        event = AuditEvent.objects.latest("id")
        assert list(event.changes) == [EDITED[name]], address
        assert (event.actor_type, event.actor) == ("user", "root")


def test_every_page_that_deletes_leaves_an_event_one_by_one_and_together(root: Client) -> None:
    for model, _, address in pages("delete", root):
        row, kind = row_of(model), KINDS[model].name
        assert new_events(lambda: root.post(f"{address}{row.pk}/delete/", {"post": "yes"})) == [f"{kind}.delete"]  # noqa: B023
        row = row_of(model)
        values = {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"}
        assert new_events(lambda: root.post(address, values)) == [f"{kind}.delete"], address  # noqa: B023


def test_every_verb_of_a_page_leaves_an_event(root: Client) -> None:
    tried = set()
    for model, page, address in pages("view", root):
        for verb in getattr(page, "object_actions", {}):
            row = STATES[verb]() if verb in STATES else row_of(model)
            expected = f"{KINDS[model].name}.{VERBS.get(verb, verb)}"
            assert new_events(lambda: root.post(f"{address}{row.pk}/act/{verb}/")) == [expected], verb  # noqa: B023
            tried.add((model, verb))
        for verb in set(page.actions) - {"delete_selected"}:
            row = STATES[verb]() if verb in STATES else row_of(model)
            values = {"action": verb, "_selected_action": [str(row.pk)]}
            kind = "login" if model is LoginFailure else KINDS[model].name
            expected = f"{kind}.{VERBS.get(verb, verb)}"
            assert new_events(lambda: root.post(address, values)) == [expected], verb  # noqa: B023
    assert (Target, "call_once") in tried


VERBS = {"run_now": "run", "call_once": "test"}


def test_signing_in_and_out_and_new_passwords_are_on_record(root: Client) -> None:
    user = User.objects.create_user("bob", password="correct horse", is_staff=True)
    client = Client()
    client.post("/admin/login/", {"username": "bob", "password": "correct horse"})
    new = {"new_password1": "battery staple", "new_password2": "battery staple"}
    client.post("/admin/password_change/", {"old_password": "correct horse", **new})
    client.post("/admin/logout/")
    set_by_root = {"password1": "correct staple", "password2": "correct staple", "usable_password": "true"}
    root.post(f"/admin/auth/user/{user.pk}/password/", set_by_root)
    events = AuditEvent.objects.order_by("at").values_list("action", "actor")
    assert list(events) == [
        ("user.login", "bob"),
        ("user.change_password", "bob"),
        ("user.logout", "bob"),
        ("user.change_password", "root"),
    ]


# --- Commands -------------------------------------------------------------------------------------------------
ONLY_LOOK = {"export_audit", "archive_runs"}
# The worker does what schedules say: runs and attempts are its record. Migrations are recorded in a table of Django's.
OWN_RECORD = {"runscheduler", "migrate"}


def _quickstart() -> None:
    # By way of first_start: the command itself goes on to serve.
    with acting_as_command("quickstart"):
        first_start.prepare(port=8000, now=timezone.now(), show=lambda welcome: None)


def _changepassword(monkeypatch: pytest.MonkeyPatch) -> None:
    User.objects.create(username="bob")
    monkeypatch.setattr("getpass.getpass", lambda *args, **kwargs: "correct horse")
    call_command("changepassword", "bob", stdout=StringIO())


def _createsuperuser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "correct horse")
    call_command("createsuperuser", "--noinput", "--username", "eve", "--email", "e@example.com", stdout=StringIO())


def _doctor() -> None:
    from scheduler_project.management.commands.doctor import Command

    Command(stderr=StringIO())._reap()


COMMANDS: dict[str, tuple[Callable[..., Any], str]] = {
    "create_api_key": (
        lambda: call_command("create_api_key", "--name", "x", stdout=StringIO(), stderr=StringIO()),
        "api_key.create",
    ),
    "unlock_logins": (lambda: call_command("unlock_logins", "--all", stdout=StringIO()), "login.unlock"),
    "quickstart": (_quickstart, "user.create"),
    "prune_runs": (lambda: call_command("prune_runs", stdout=StringIO(), stderr=StringIO()), "run.prune"),
    "doctor": (_doctor, "run.reap"),
    "rotate_secrets": (
        lambda: call_command("rotate_secrets", stdout=StringIO(), stderr=StringIO()),
        "secret.rotate",
    ),
    "changepassword": (_changepassword, "user.change_password"),
    "createsuperuser": (_createsuperuser, "user.create"),
}


def test_every_command_of_ours_is_tried_here() -> None:
    ours = {name for name, app in get_commands().items() if app in OUR_APPS}
    assert ours == COMMANDS.keys() | ONLY_LOOK | OWN_RECORD


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_that_changes_something_leaves_an_event(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run, action = COMMANDS[name]
    monkeypatch.setattr("scheduler_project.management.commands.doctor.reap", lambda **kwargs: None)
    run(*((monkeypatch,) if name in ("changepassword", "createsuperuser") else ()))
    event = AuditEvent.objects.filter(action=action).get()
    assert (event.actor_type, event.actor_id) == ("command", name)


# --- What events say ------------------------------------------------------------------------------------------
def test_a_diff_names_what_changed_and_masks_secrets() -> None:
    client = ApiClient("admin")
    headers = {"X-Api-Key": "canary-1", "Accept": "text/plain"}
    auth = {"type": "bearer", "token": "canary-2"}
    made = client.post("/targets", {**TARGET, "headers": headers, "auth": auth}).json()
    changed = {"headers": {"X-Api-Key": "canary-3", "Accept": "*/*"}, "auth": {"type": "none"}, "name": "New"}
    assert client.patch(f"/targets/{made['id']}", changed).status_code == 200
    event = AuditEvent.objects.get(action="target.update")
    assert event.changes == {
        "auth.token": ["********", None],
        "auth.type": ["bearer", None],
        "headers.Accept": ["text/plain", "*/*"],
        "headers.X-Api-Key": ["********", "********"],
        "name": ["Orders", "New"],
    }
    assert "canary" not in str(list(AuditEvent.objects.values()))


@pytest.mark.parametrize("auth", EACH.values(), ids=EACH)
def test_of_no_kind_of_auth_more_than_its_type_is_in_a_diff(auth: dict[str, str]) -> None:
    ApiClient("admin").post("/targets", {**TARGET, "auth": auth})
    changes = AuditEvent.objects.get().changes
    shown = {name.removeprefix("auth."): new for name, (_, new) in changes.items() if name.startswith("auth.")}
    assert shown == {**dict.fromkeys(auth, MASK), "type": auth["type"]}


def test_a_person_is_shown_with_groups_and_without_the_password(root: Client) -> None:
    user = User.objects.create_user("bob", password="correct horse")
    group = Group.objects.get(name="viewer")
    values = {"username": "bob", "is_active": "on", "is_staff": "on", "groups": [group.pk]}
    root.post(f"/admin/auth/user/{user.pk}/change/", values)
    assert AuditEvent.objects.get().changes == {"groups": [[], ["viewer"]], "is_staff": [False, True]}


def test_long_values_are_cut_and_moments_are_text() -> None:
    kind = KINDS[Target]
    changes = changes_between(kind, {"url": "x"}, {"url": "y" * 1000, "at": NOW, "id": UUID(int=1)})
    assert len(changes["url"][1]) == 303
    assert changes["at"] == [None, "2026-03-10T12:00:00+00:00"]
    assert changes["id"] == [None, "00000000-0000-0000-0000-000000000001"]


def test_a_thing_without_a_kind_is_called_by_its_model() -> None:
    assert thing_of(AuditEvent(id=UUID(int=1))).type == "auditevent"


def test_a_change_that_cannot_be_put_on_record_does_not_happen(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError

    target = make_target()
    monkeypatch.setattr("scheduler_project.audit_trail.record", broken)
    client = ApiClient("admin")
    assert client.patch(f"/targets/{target.pk}", {"name": "other"}).status_code == 500
    assert client.delete(f"/targets/{target.pk}").status_code == 500
    assert client.post("/targets", TARGET).status_code == 500
    assert list(Target.objects.values_list("name", flat=True)) == [target.name]
