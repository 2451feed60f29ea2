"""Edits and the worker meet on the row lock: whoever commits first is seen by the other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import OperationalError, connection, transaction

from schedules.models import Schedule
from schedules.services import delete_schedule, pause_schedule, resume_schedule, update_schedule
from targets.services import delete_target, update_target
from tests.factories import NOW, make_schedule

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres_only]

Second = psycopg.Connection[Any]
SERVICES: dict[str, Callable[[UUID], object]] = {
    "update": lambda key: update_schedule(schedule_id=key, changes={"name": "x"}, now=NOW),
    "pause": lambda key: pause_schedule(schedule_id=key, now=NOW),
    "resume": lambda key: resume_schedule(schedule_id=key, now=NOW),
    "delete": lambda key: delete_schedule(schedule_id=key, now=NOW),
}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_waits_for_whoever_holds_the_row(service: str, other_connection: Second) -> None:
    schedule = make_schedule(status="paused" if service == "resume" else "active", **_next_run(service))
    other_connection.execute("SELECT 1 FROM schedules_schedule WHERE id = %s FOR NO KEY UPDATE", [schedule.id])
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '50ms'")
        with pytest.raises(OperationalError, match="lock timeout"):
            SERVICES[service](schedule.id)


def test_an_edit_sees_what_enqueue_has_committed_and_leaves_it(other_connection: Second) -> None:
    schedule = make_schedule()
    moved = NOW + timedelta(minutes=2)
    other_connection.execute("UPDATE schedules_schedule SET run_count = 1, next_run_at = %s", [moved])
    other_connection.commit()
    update_schedule(schedule_id=schedule.id, changes={"max_runs": 1}, now=NOW + timedelta(seconds=90))
    schedule.refresh_from_db()
    assert (schedule.status, schedule.run_count) == ("expired", 1)


def test_an_edit_in_progress_does_not_stop_rows_that_refer_to_the_schedule(other_connection: Second) -> None:
    schedule = make_schedule()
    with transaction.atomic():
        update_schedule(schedule_id=schedule.id, changes={"name": "x"}, now=NOW)
        update_target(target_id=schedule.target_id, changes={"name": "x"}, now=NOW)
        other_connection.execute("SET lock_timeout = '50ms'")
        other_connection.execute(
            "INSERT INTO schedules_schedulepause (schedule_id, paused_at, reason) VALUES (%s, %s, '')",
            [schedule.id, NOW],
        )


def test_a_target_can_be_deleted_while_enqueue_holds_its_schedules(other_connection: Second) -> None:
    schedule = make_schedule()
    other_connection.execute("SELECT 1 FROM schedules_schedule WHERE id = %s FOR NO KEY UPDATE", [schedule.id])
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '50ms'")
        delete_target(target_id=schedule.target_id, now=NOW)
    assert not Schedule.objects.exists()


def _next_run(service: str) -> dict[str, Any]:
    return {"next_run_at": None} if service == "resume" else {}
