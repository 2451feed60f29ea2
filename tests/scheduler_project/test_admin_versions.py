"""Forms that were open too long: nothing that somebody else has saved meanwhile is overwritten unseen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import models
from django.test import Client

from schedules.models import Schedule
from schedules.services import pause_schedule, update_schedule
from targets.models import Secret, Target
from targets.secret_services import create_secret, update_secret
from targets.services import create_target, update_target
from tests.factories import NOW, make_schedule
from tests.html_forms import errors_of, form_data
from tests.staff import superuser

pytestmark = pytest.mark.django_db
BASIC = {"type": "basic", "username": "me", "password": "canary-1"}
SIGNING = "whsec_" + "MTIz" * 11


def target() -> Target:
    fields = {"name": "Orders", "url": "https://a.example/", "auth": BASIC, "headers": {"X-Api-Key": "canary-2"}}
    return create_target(fields=fields, now=NOW)


def secret() -> Secret:
    return create_secret(fields={"name": "CRM", "value": "canary-3"}, now=NOW)


def change(row: Any, **changes: Any) -> None:
    if isinstance(row, Target):
        update_target(target_id=row.pk, changes=changes, now=NOW)
    elif isinstance(row, Schedule):
        update_schedule(schedule_id=row.pk, changes=changes, now=NOW)
    else:
        update_secret(secret_id=row.pk, changes=changes, now=NOW)


# What somebody else saves while the form is open, secrets that no form shows among it; and the field that we edit.
MEANWHILE: dict[str, tuple[Callable[[], models.Model], dict[str, Any], tuple[str, str]]] = {
    "target: url": (target, {"url": "https://a.example/other"}, ("name", "mine")),
    "target: the same field": (target, {"name": "theirs"}, ("name", "mine")),
    "target: secret header": (target, {"headers": {"X-Api-Key": "canary-4"}}, ("name", "mine")),
    "target: password": (target, {"auth": {**BASIC, "password": "canary-5"}}, ("name", "mine")),
    "target: another auth": (target, {"auth": {"type": "bearer", "token": "canary-6"}}, ("name", "mine")),
    "target: signing secret": (target, {"signing_secret": SIGNING}, ("name", "mine")),
    "schedule: interval": (make_schedule, {"interval_seconds": 120}, ("name", "mine")),
    "schedule: the same field": (make_schedule, {"name": "theirs"}, ("name", "mine")),
    "schedule: retries": (make_schedule, {"max_retries": 7}, ("interval_seconds", "300")),
    "secret: value": (secret, {"value": "canary-7"}, ("allowed_hosts", "a.example")),
    "secret: value against value": (secret, {"value": "canary-7"}, ("value", "canary-8")),
    "secret: hosts": (secret, {"allowed_hosts": ["b.example"]}, ("allowed_hosts", "a.example")),
}


def stored(row: models.Model) -> dict[str, Any]:
    return type(row)._default_manager.filter(pk=row.pk).values().get()


def opened(row: models.Model) -> tuple[Client, str, dict[str, str]]:
    """A browser with the row's form on its screen: the address, and what it would send."""
    browser, name = superuser(), str(row._meta.model_name)
    address = f"/admin/{row._meta.app_label}/{name}/{row.pk}/change/"
    return browser, address, form_data(browser.get(address).content.decode(), f"{name}_form")


@pytest.mark.parametrize("case", MEANWHILE)
def test_a_form_that_was_open_too_long_overwrites_nothing_and_keeps_what_was_typed(case: str) -> None:
    make, changes, (field, typed) = MEANWHILE[case]
    row = make()
    browser, address, shown = opened(row)
    change(row, **changes)
    before = stored(row)
    response = browser.post(address, {**shown, field: typed})
    assert "nothing was overwritten" in errors_of(response)["__all__"][0]
    assert stored(row) == before
    page = response.content.decode()
    assert "canary-" not in page.replace(f'value="{typed}"', "")
    again = form_data(page, f"{row._meta.model_name}_form")
    assert again[field] == typed


def test_saving_once_more_is_a_decision_and_goes_through() -> None:
    row = make_schedule()
    browser, address, shown = opened(row)
    change(row, interval_seconds=120)
    response = browser.post(address, {**shown, "name": "mine"})
    assert "differs in: Name, Every ... seconds" in errors_of(response)["__all__"][0]
    again = form_data(response.content.decode(), "schedule_form")
    assert browser.post(address, again).status_code == 302
    assert (stored(row)["name"], stored(row)["interval_seconds"]) == ("mine", 60)


def test_what_the_service_itself_writes_makes_no_form_stale() -> None:
    row = make_schedule()
    browser, address, shown = opened(row)
    pause_schedule(schedule_id=row.pk, now=NOW)
    Schedule.objects.filter(pk=row.pk).update(run_count=3, last_run_at=NOW)
    assert browser.post(address, {**shown, "name": "mine"}).status_code == 302
    assert (stored(row)["name"], stored(row)["status"]) == ("mine", "paused")


@pytest.mark.parametrize("make", [target, make_schedule, secret])
def test_one_that_was_deleted_meanwhile_is_not_brought_back(make: Callable[[], Any]) -> None:
    row = make()
    browser, address, shown = opened(row)
    row.delete()
    response = browser.post(address, shown)
    assert response.status_code == 302
    assert response["Location"] == "/admin/"
    assert not type(row)._default_manager.filter(pk=row.pk).exists()
