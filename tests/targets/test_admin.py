"""Targets in the admin."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from runs.models import Run
from targets.models import Target
from tests.factories import make_run, make_schedule, make_target
from tests.html_forms import errors_of, form_data
from tests.http_target import RecordingTarget
from tests.staff import staff, superuser

pytestmark = pytest.mark.django_db
LIST, ADD = "/admin/targets/target/", "/admin/targets/target/add/"


def page_of(target: Target) -> str:
    return f"{LIST}{target.pk}/change/"


def untouched(client: Client, address: str) -> dict[str, str]:
    return form_data(client.get(address).content.decode(), "target_form")


def save(client: Client, target: Target, **changes: str) -> Any:
    return client.post(page_of(target), {**untouched(client, page_of(target)), **changes})


@pytest.fixture
def viewer(db: None) -> Client:
    return staff("targets.view_target")


@pytest.fixture
def admin_client(db: None) -> Client:
    return superuser()


@pytest.fixture(autouse=True)
def open_loopback(settings: Settings) -> None:
    settings.EGRESS_ALLOW_HOSTS = ("127.0.0.1",)


def test_a_target_is_made_from_name_and_url_alone(admin_client: Client, settings: Settings) -> None:
    data = untouched(admin_client, ADD)
    response = admin_client.post(ADD, {**data, "name": "Orders", "url": "http://example.com/orders"})
    assert response.status_code == 302
    target = Target.objects.get()
    assert (target.name, target.url, target.method, target.headers) == (
        "Orders",
        "http://example.com/orders",
        "GET",
        {},
    )
    assert (target.timeout_seconds, target.expected_status) == (settings.DEFAULT_TIMEOUT_SECONDS, "200-299")
    assert (target.verify_tls, target.follow_redirects, target.body_template) == (True, False, None)


def test_every_field_of_the_form_is_saved(admin_client: Client) -> None:
    values = {
        "name": "All",
        "url": "https://example.com/{{run_id}}",
        "method": "PATCH",
        "headers": "Accept: text/plain\r\n\r\nX-Api-Key: s3cret: with colon\r\n",
        "body_template": " first\r\nsecond ",
        "timeout_seconds": "7.5",
        "connect_timeout_seconds": "2",
        "follow_redirects": "on",
        "expected_status": "200,404",
        "response_must_contain": "fine",
        "max_concurrency": "3",
    }
    assert admin_client.post(ADD, values).status_code == 302
    target = Target.objects.get()
    assert target.headers == {"Accept": "text/plain", "X-Api-Key": "s3cret: with colon"}
    assert target.body_template == " first\nsecond "
    assert (target.method, target.timeout_seconds, target.connect_timeout_seconds) == ("PATCH", 7.5, 2)
    assert (target.follow_redirects, target.verify_tls, target.max_concurrency) == (True, False, 3)
    assert (target.expected_status, target.response_must_contain) == ("200,404", "fine")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "", "required"),
        ("url", "ftp://example.com/", "http"),
        ("url", "http://user:pw@example.com/", "user name"),
        ("headers", "no colon here", "Line 1 is not a header"),
        ("headers", "A: 1\nA: 2", "A stands there twice"),
        ("headers", "Host: example.com", "Host"),
        ("headers", "Authorization: ********", "no stored value"),
        ("timeout_seconds", "0", "number of seconds"),
        ("timeout_seconds", "1e400", "number"),
        ("expected_status", "banana", "banana"),
        ("max_concurrency", "0", "whole number"),
        ("max_concurrency", "-1", "from 1 to"),
        ("max_concurrency", "9" * 30, "from 1 to"),
        ("body_template", "{{unknown}}", "unknown"),
    ],
)
def test_what_can_not_be_saved_is_said_at_its_field(admin_client: Client, field: str, value: str, message: str) -> None:
    data = {**untouched(admin_client, ADD), "name": "T", "url": "http://example.com/"}
    errors = errors_of(admin_client.post(ADD, {**data, field: value}))
    assert list(errors) == [field]
    assert message in errors[field][0]
    assert not Target.objects.exists()


def test_all_that_is_wrong_is_said_at_once(admin_client: Client) -> None:
    wrong = {"headers": "no colon here", "timeout_seconds": "long", "expected_status": "banana"}
    data = {**untouched(admin_client, ADD), "name": "T", "url": "http://example.com/"}
    assert set(errors_of(admin_client.post(ADD, {**data, **wrong}))) == set(wrong)
    assert set(errors_of(admin_client.post(ADD, {**data, "url": "", **wrong}))) == {"url", *wrong}


def test_saving_an_untouched_form_writes_nothing(admin_client: Client) -> None:
    target = make_target(
        headers={"Authorization": "Bearer s3cret", "X-Odd": " blanks "},
        body_template="\n  a\r\nb\n",
        response_must_contain="two\nlines ",
        max_concurrency=2,
    )
    before = Target.objects.filter(pk=target.pk).values().get()
    assert save(admin_client, target).status_code == 302
    after = Target.objects.filter(pk=target.pk).values().get()
    assert {**after, "updated_at": None} == {**before, "updated_at": None}


def test_an_edit_touches_only_what_was_edited(admin_client: Client) -> None:
    target = make_target(headers={"Authorization": "Bearer s3cret"}, body_template="", url="http://192.0.2.1/closed")
    assert save(admin_client, target, name="New name").status_code == 302
    target.refresh_from_db()
    assert (target.name, target.headers, target.body_template) == ("New name", {"Authorization": "Bearer s3cret"}, "")


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("Authorization: ********\nX-New: 1", {"Authorization": "Bearer s3cret", "X-New": "1"}),
        ("Authorization: Bearer new", {"Authorization": "Bearer new"}),
        ("", {}),
    ],
)
def test_masked_secrets_stay_and_others_are_replaced(admin_client: Client, typed: str, stored: dict[str, str]) -> None:
    target = make_target(headers={"Authorization": "Bearer s3cret"})
    save(admin_client, target, headers=typed)
    target.refresh_from_db()
    assert target.headers == stored


def test_emptied_fields_become_null_or_are_asked_for(admin_client: Client) -> None:
    target = make_target(max_concurrency=2, body_template="x")
    assert save(admin_client, target, max_concurrency="", body_template="").status_code == 302
    target.refresh_from_db()
    assert (target.max_concurrency, target.body_template) == (None, None)
    assert list(errors_of(save(admin_client, target, timeout_seconds=""))) == ["timeout_seconds"]


@pytest.mark.parametrize("who", ["admin", "viewer"])
def test_no_page_shows_a_secret(admin_client: Client, viewer: Client, who: str) -> None:
    target = make_target(headers={"Authorization": "Bearer s3cret", "Accept": "text/plain"})
    client = admin_client if who == "admin" else viewer
    for address in (LIST, page_of(target), f"{LIST}{target.pk}/history/"):
        assert "s3cret" not in client.get(address).content.decode()
    page = client.get(page_of(target)).content.decode()
    assert "Authorization: ********" in page
    assert "Accept: text/plain" in page


def test_headers_that_can_not_be_decrypted_are_named_and_kept(admin_client: Client, settings: Settings) -> None:
    target = make_target(headers={"Authorization": "Bearer s3cret"})
    keys, settings.FIELD_ENCRYPTION_KEYS = settings.FIELD_ENCRYPTION_KEYS, (Fernet.generate_key().decode(),)
    assert "be decrypted" in admin_client.get(page_of(target)).content.decode()
    assert admin_client.get(LIST).status_code == 200
    assert save(admin_client, target, name="Renamed").status_code == 302
    settings.FIELD_ENCRYPTION_KEYS = keys
    target.refresh_from_db()
    assert (target.name, target.headers) == ("Renamed", {"Authorization": "Bearer s3cret"})


def test_deleting_is_a_tombstone_that_lists_nothing_else(
    admin_client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    target = make_target()
    schedule = make_schedule(target)
    for _ in range(5):
        make_run(schedule)
    with django_assert_max_num_queries(6):
        page = admin_client.get(f"{LIST}{target.pk}/delete/").content.decode()
    assert "with its schedules and all their runs" in page
    assert admin_client.post(f"{LIST}{target.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Target.objects.exists()
    assert Run.with_deleted.count() == 5


def test_several_are_deleted_together(admin_client: Client) -> None:
    data = {"action": "delete_selected", "_selected_action": [str(make_target().pk) for _ in range(3)]}
    assert "with its schedules" in admin_client.post(LIST, data).content.decode()
    admin_client.post(LIST, {**data, "post": "yes"})
    assert not Target.objects.exists()
    assert Target.with_deleted.count() == 3


def test_the_list_is_searched_by_name_and_url(admin_client: Client) -> None:
    make_target(name="Alpha", url="http://example.com/one")
    make_target(name="Beta", url="http://example.com/two")
    assert [row.name for row in admin_client.get(LIST, {"q": "alph"}).context["cl"].result_list] == ["Alpha"]
    assert [row.name for row in admin_client.get(LIST, {"q": "/two"}).context["cl"].result_list] == ["Beta"]


def test_its_links_lead_to_its_schedules_and_runs(admin_client: Client) -> None:
    target = make_target()
    run = make_run(make_schedule(target))
    make_run()
    page = admin_client.get(page_of(target)).content.decode()
    for kind, row in (("schedules/schedule", run.schedule), ("runs/run", run)):
        address = f"/admin/{kind}/?target__id__exact={target.pk}"
        assert address in page
        assert list(admin_client.get(address).context["cl"].result_list) == [row]


@pytest.mark.django_db(transaction=True)
def test_a_test_call_leads_to_its_run(admin_client: Client) -> None:
    with RecordingTarget() as server:
        target = make_target(url=server.url("/echo"))
        response = admin_client.post(f"{LIST}{target.pk}/act/call_once/")
        assert len(server.calls("/echo")) == 1
    run = Run.objects.get()
    assert (run.trigger, run.status) == ("test", "success")
    assert response["Location"] == f"/admin/runs/run/{run.pk}/change/"


def test_a_test_call_of_a_deleted_target_makes_none(admin_client: Client) -> None:
    address = f"{LIST}00000000-0000-0000-0000-000000000000/act/call_once/"
    assert admin_client.post(address).status_code == 302
    assert not Run.objects.exists()


def test_who_may_only_look_gets_no_form_and_no_button(viewer: Client) -> None:
    target = make_target()
    page = viewer.get(page_of(target)).content.decode()
    assert "Send a test call" not in page
    assert 'name="_save"' not in page
    assert viewer.post(f"{LIST}{target.pk}/act/call_once/").status_code == 403
    assert viewer.post(page_of(target), {"name": "x"}).status_code == 403
    assert viewer.post(f"{LIST}{target.pk}/delete/", {"post": "yes"}).status_code == 403
