"""Versions of what people write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django import Settings

from scheduler_project.etags import etag_of
from targets.models import Target
from tests.factories import make_target
from tests.signed_in import key_client, pointers_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.scheduler_project.probe_api")]
VALUES = {"name": "Orders", "url": "https://example.com", "run_count": 3}


def patch(target: Target, if_match: str | None, name: str = "New") -> Any:
    headers: Any = {} if if_match is None else {"HTTP_IF_MATCH": if_match}
    return key_client().patch(f"/api/v1/things/{target.id}", {"name": name}, **headers)


def etag(target: Target) -> str:
    return str(key_client().get(f"/api/v1/things/{target.id}")["ETag"])


def test_only_the_chosen_fields_count() -> None:
    tag = etag_of(VALUES, ["name", "url"])
    assert tag == etag_of({**VALUES, "run_count": 4}, ["url", "name"])
    assert tag != etag_of({**VALUES, "name": "Others"}, ["name", "url"])
    assert tag != etag_of(VALUES, ["name"])


def test_it_is_a_strong_tag_in_quotes() -> None:
    tag = etag_of(VALUES, ["name"])
    assert tag[0] == tag[-1] == '"'
    assert tag.strip('"').isalnum()


def test_it_takes_the_values_of_a_model() -> None:
    assert etag_of({"at": datetime(2026, 3, 10, tzinfo=UTC), "headers": {"b": 1, "a": 2}}, ["at", "headers"])


def test_secrets_in_it_can_not_be_guessed_without_the_key(settings: Settings) -> None:
    tag = etag_of({"token": "1234"}, ["token"])
    settings.SECRET_KEY = "another"
    assert tag != etag_of({"token": "1234"}, ["token"])


def test_the_tag_changes_with_a_change_and_not_without() -> None:
    target = make_target()
    before = etag(target)
    assert etag(target) == before
    assert patch(target, None)["ETag"] != before


@pytest.mark.parametrize("form", ["{tag}", "*", '"other", {tag}', '{tag},"other"', " {tag} "])
def test_a_matching_condition_lets_the_change_through(form: str) -> None:
    target = make_target()
    assert patch(target, form.format(tag=etag(target))).status_code == 200


@pytest.mark.parametrize("form", ['"other"', "W/{tag}", "{bare}", "", '"unclosed', "junk, junk"])
def test_any_other_condition_is_a_412_and_changes_nothing(form: str) -> None:
    target = make_target(name="Old")
    tag = etag(target)
    assert pointers_of(patch(target, form.format(tag=tag, bare=tag.strip('"'))), 412) == ["If-Match:"]
    assert Target.objects.get().name == "Old"


def test_of_two_people_who_read_the_same_version_the_second_is_told() -> None:
    target = make_target()
    tag = etag(target)
    assert patch(target, tag, "first").status_code == 200
    assert patch(target, tag, "second").status_code == 412
    assert Target.objects.get().name == "first"
