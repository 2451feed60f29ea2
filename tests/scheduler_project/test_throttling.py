"""How often one client may ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from pytest_django import Settings
from rest_framework.test import APIClient

from access.roles import READS
from tests.signed_in import client_with, key_client, make_user, problem_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.scheduler_project.probe_api")]
LIST = "/api/v1/things"


@pytest.fixture(autouse=True)
def three_per_hour(settings: Settings) -> Iterator[None]:
    """A rate that a test can use up, and counts of its own."""
    settings.API_THROTTLE = "3/hour"
    cache.clear()
    yield
    cache.clear()


def statuses(client: APIClient, count: int, **headers: Any) -> list[int]:
    return [client.get(LIST, **headers).status_code for _ in range(count)]


def test_a_key_that_asks_too_often_is_told_when_to_come_back() -> None:
    client = key_client()
    assert statuses(client, 3) == [200, 200, 200]
    response = client.get(LIST)
    problem_of(response, 429)
    assert 1 <= int(response["Retry-After"]) <= 3600


def test_keys_are_counted_apart() -> None:
    statuses(key_client(), 4)
    assert statuses(key_client(), 1) == [200]


def test_users_are_counted_apart_from_keys() -> None:
    client = APIClient()
    client.force_login(make_user(*READS))
    assert statuses(client, 4) == [200, 200, 200, 429]


def test_the_throttle_can_be_off(settings: Settings) -> None:
    settings.API_THROTTLE = None
    assert statuses(key_client(), 10) == [200] * 10


@pytest.mark.parametrize("rate", ["3/s", "3/sec", "3/min", "3/day"])
def test_every_unit_of_the_setting_counts(settings: Settings, rate: str) -> None:
    settings.API_THROTTLE = rate
    assert statuses(key_client(), 4)[3] == 429


@pytest.mark.parametrize("client", [APIClient(), client_with("aps_" + "A" * 43)])
def test_strangers_are_counted_by_address(client: APIClient) -> None:
    assert statuses(client, 4) == [401, 401, 401, 429]
    assert statuses(client, 1, REMOTE_ADDR="192.0.2.7") == [401]


def test_strangers_do_not_use_up_what_valid_keys_have() -> None:
    statuses(client_with("nope"), 5)
    assert statuses(key_client(), 1) == [200]


def test_a_made_up_forwarded_address_does_not_reset_the_count() -> None:
    for number in range(3):
        APIClient().get(LIST, HTTP_X_FORWARDED_FOR=f"192.0.2.{number}")
    assert statuses(APIClient(), 1, HTTP_X_FORWARDED_FOR="192.0.2.99") == [429]
