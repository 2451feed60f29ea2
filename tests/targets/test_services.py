"""Targets: created, changed and deleted."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings

from runs.models import Run
from schedules.models import Schedule
from targets.errors import InvalidFields
from targets.masking import MASK
from targets.models import Target
from targets.services import create_target, delete_target, update_target
from tests.factories import NOW, make_ended_run, make_schedule, make_target

pytestmark = pytest.mark.django_db


def target_fields(**fields: Any) -> dict[str, Any]:
    """What a user must send for a target, and `fields`."""
    return {"name": "Orders", "url": "https://api.example.com/orders", **fields}


def test_it_fills_in_the_defaults(settings: Settings) -> None:
    settings.DEFAULT_TIMEOUT_SECONDS = 12.5
    target = Target.objects.get(pk=create_target(fields=target_fields(), now=NOW).pk)
    assert (target.method, target.headers, target.body_template) == ("GET", {}, None)
    assert (target.timeout_seconds, target.connect_timeout_seconds) == (12.5, 10)
    assert (target.follow_redirects, target.verify_tls, target.expected_status) == (False, True, "200-299")
    assert (target.response_must_contain, target.max_concurrency) == (None, None)
    assert (target.created_at, target.updated_at) == (NOW, NOW)


def test_its_default_connect_timeout_stays_within_the_allowed_maximum(settings: Settings) -> None:
    settings.DEFAULT_TIMEOUT_SECONDS = settings.MAX_TIMEOUT_SECONDS = 4
    assert create_target(fields=target_fields(), now=NOW).connect_timeout_seconds == 4


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": None}, "name"),
        ({"url": None}, "url"),
        ({"url": "ftp://example.com/"}, "url"),
        ({"timeout_seconds": 121}, "timeout_seconds"),
        ({"headers": {"X-Token": MASK}}, "headers"),
    ],
)
def test_it_refuses_what_can_not_be(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidFields) as caught:
        create_target(fields=target_fields(**changes), now=NOW)
    assert set(caught.value.errors) == {field}
    assert not Target.objects.exists()


def test_a_change_writes_what_it_names_and_nothing_else() -> None:
    target = make_target(headers={"Accept": "text/plain"})
    Target.objects.filter(pk=target.pk).update(verify_tls=False)
    update_target(target_id=target.id, changes={"name": "New"}, now=NOW.replace(hour=13))
    target.refresh_from_db()
    assert (target.name, target.verify_tls, target.headers) == ("New", False, {"Accept": "text/plain"})
    assert target.updated_at == NOW.replace(hour=13)


def test_a_masked_header_keeps_its_stored_value() -> None:
    target = make_target(headers={"Authorization": "Bearer abc", "X-Api-Key": "def", "Accept": "*/*"})
    update_target(target_id=target.id, changes={"headers": {"Authorization": MASK, "X-Api-Key": "new"}}, now=NOW)
    target.refresh_from_db()
    assert target.headers == {"Authorization": "Bearer abc", "X-Api-Key": "new"}


def test_a_change_is_judged_together_with_what_stays() -> None:
    target = make_target(headers={"Content-Type": "application/json"})
    with pytest.raises(InvalidFields) as caught:
        update_target(target_id=target.id, changes={"body_template": "{not json"}, now=NOW)
    assert set(caught.value.errors) == {"body_template"}


def test_a_change_must_not_spoil_what_stays() -> None:
    target = make_target(url="http://a.example/", body_template="plain text")
    with pytest.raises(InvalidFields) as caught:
        update_target(target_id=target.id, changes={"headers": {"Content-Type": "application/json"}}, now=NOW)
    assert set(caught.value.errors) == {"body_template"}


def test_what_a_newer_setting_forbids_does_not_stop_other_changes(settings: Settings) -> None:
    target = make_target(url="http://a.example/", timeout_seconds=100)
    settings.MAX_TIMEOUT_SECONDS = 50
    assert update_target(target_id=target.id, changes={"name": "New"}, now=NOW).name == "New"
    with pytest.raises(InvalidFields) as caught:
        update_target(target_id=target.id, changes={"timeout_seconds": 100}, now=NOW)
    assert set(caught.value.errors) == {"timeout_seconds"}


def test_it_asks_the_check_first_and_changes_nothing_if_that_objects() -> None:
    target = make_target()

    def objects(seen: Target) -> None:
        raise PermissionError(seen.name)

    with pytest.raises(PermissionError, match=target.name):
        update_target(target_id=target.id, changes={"url": "nonsense"}, now=NOW, check=objects)
    with pytest.raises(PermissionError):
        delete_target(target_id=target.id, now=NOW, check=objects)
    assert Target.objects.filter(pk=target.pk).exists()


def test_a_deleted_target_takes_its_schedules_and_runs_out_of_sight() -> None:
    run = make_ended_run(make_schedule(make_target()))
    delete_target(target_id=run.target_id, now=NOW)
    assert not Target.objects.exists()
    assert not Schedule.objects.exists()
    assert not Run.objects.exists()
    assert Target.with_deleted.get().deleted_at == NOW


def test_nothing_can_be_done_to_a_missing_or_deleted_target() -> None:
    for target_id in (uuid4(), make_target(deleted_at=NOW).id):
        with pytest.raises(Target.DoesNotExist):
            update_target(target_id=target_id, changes={"name": "X"}, now=NOW)
        with pytest.raises(Target.DoesNotExist):
            delete_target(target_id=target_id, now=NOW)
