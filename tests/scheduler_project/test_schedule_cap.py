"""MAX_SCHEDULES_PER_KEY (D12)."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from access.models import KeySchedule
from schedules.clock import database_now
from schedules.models import Schedule
from tests.api_client import ApiClient
from tests.factories import make_target
from worker.management.commands.runscheduler import chores

pytestmark = pytest.mark.django_db


def create(client: ApiClient) -> Any:
    body = {"name": "x", "target_id": str(make_target().pk), "schedule_type": "interval", "interval_seconds": 60}
    return client.post("/schedules", body)


def test_a_key_keeps_at_most_so_many_schedules(settings: Settings) -> None:
    settings.MAX_SCHEDULES_PER_KEY = 2
    client, other = ApiClient("read", "write"), ApiClient("read", "write")
    assert [create(client).status_code for _ in range(3)] == [201, 201, 409]
    refused = create(client)
    assert "MAX_SCHEDULES_PER_KEY" in refused.json()["detail"]
    assert create(other).status_code == 201
    assert Schedule.objects.count() == 3


def test_a_deleted_schedule_makes_room(settings: Settings) -> None:
    settings.MAX_SCHEDULES_PER_KEY = 1
    client = ApiClient("read", "write")
    made = create(client).json()["id"]
    assert create(client).status_code == 409
    client.delete(f"/schedules/{made}")
    assert create(client).status_code == 201


def test_schedules_made_while_it_was_off_count(settings: Settings) -> None:
    client = ApiClient("read", "write")
    settings.MAX_SCHEDULES_PER_KEY = None
    assert [create(client).status_code for _ in range(2)] == [201, 201]
    settings.MAX_SCHEDULES_PER_KEY = 2
    assert create(client).status_code == 409


def purge() -> None:
    (chore,) = (chore for chore in chores() if chore.name == "purge_deleted")
    while chore.work(now=database_now()):
        pass


@pytest.mark.parametrize("deleted", ["schedules", "targets"])
def test_nothing_is_kept_about_who_made_what_is_gone_for_good(deleted: str) -> None:
    client = ApiClient("read", "write")
    gone, kept = create(client).json(), create(client).json()
    client.delete(f"/{deleted}/{gone['id' if deleted == 'schedules' else 'target_id']}")
    assert KeySchedule.objects.count() == 2
    purge()
    assert not Schedule.with_deleted.filter(pk=gone["id"]).exists()
    assert [str(row.schedule_id) for row in KeySchedule.objects.all()] == [kept["id"]]
