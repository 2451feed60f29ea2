"""A stored zone that this machine does not know (restored elsewhere, older zone data): no 500, and a way out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from runs.identity import scheduled_run_id
from schedules.models import Schedule
from tests.api_client import ApiClient, wrong_places
from tests.factories import NOW, make_run, make_schedule
from tests.html_forms import errors_of, form_data
from tests.staff import superuser

pytestmark = pytest.mark.django_db

LOST = "Mars/Olympus"
KINDS: dict[str, dict[str, Any]] = {
    "interval": {"interval_seconds": 60},
    "cron": {"cron_expression": "0 9 * * *"},
    "once": {"run_at": NOW + timedelta(days=1)},
}


@pytest.fixture
def api() -> ApiClient:
    """A client that may do everything."""
    return ApiClient()


def lost(kind: str = "cron", **fields: Any) -> Schedule:
    """A schedule of that type in a zone that is not known."""
    own = dict.fromkeys(("interval_seconds", "cron_expression", "run_at")) | KINDS[kind]
    return make_schedule(schedule_type=kind, timezone=LOST, **own, **fields)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seconds", [0, 30, 60, 86_400, 200_000])
def test_explain_answers(api: ApiClient, kind: str, seconds: int) -> None:
    schedule = lost(kind)
    at = (NOW + timedelta(seconds=seconds)).isoformat()
    answer = api.get(f"/schedules/{schedule.id}/explain", at=at)
    assert (answer.status_code, answer.json()["run"]) == (200, None)
    if kind != "interval":
        assert f"can't be computed: Unknown time zone '{LOST}'. Edit the timing." in answer.json()["sentence"]


def test_explain_still_finds_the_run_of_the_moment_and_tells_it_in_utc(api: ApiClient) -> None:
    schedule = lost(started_at=NOW - timedelta(days=1))
    missed = {"status": "skipped", "reason": "misfire", "missed_ticks": 2, "completed_at": NOW, "scheduled_at": NOW}
    run = make_run(schedule, id=scheduled_run_id(schedule.id, NOW), **missed)
    answer = api.get(f"/schedules/{schedule.id}/explain", at=NOW.isoformat()).json()
    assert answer["run"]["id"] == str(run.id)
    later = api.get(f"/schedules/{schedule.id}/explain", at=(NOW + timedelta(hours=1)).isoformat()).json()
    assert later["run"] is None


@pytest.mark.parametrize("kind", ["cron", "once"])
def test_a_preview_is_refused_with_the_reason(api: ApiClient, kind: str) -> None:
    answer = api.get(f"/schedules/{lost(kind).id}/preview")
    assert answer.status_code == 409
    assert answer.json()["detail"] == (f"The timing can't be computed: Unknown time zone '{LOST}'. Change it first.")


def test_a_resume_is_refused_and_changes_nothing(api: ApiClient) -> None:
    schedule = lost(status="paused", next_run_at=None, paused_reason="holiday")
    assert api.post(f"/schedules/{schedule.id}/resume").status_code == 409
    schedule.refresh_from_db()
    assert (schedule.status, schedule.paused_reason) == ("paused", "holiday")


def test_another_expression_alone_is_refused_at_the_zone(api: ApiClient) -> None:
    schedule = lost()
    assert wrong_places(api.patch(f"/schedules/{schedule.id}", {"cron_expression": "0 8 * * *"})) == ["/timezone"]


@pytest.mark.parametrize("changes", [{"jitter_seconds": 5}, {"expires_at": "2090-01-01T00:00:00Z"}])
def test_other_timing_that_needs_the_zone_is_a_clear_4xx(api: ApiClient, changes: dict[str, Any]) -> None:
    answer = api.patch(f"/schedules/{lost().id}", changes)
    assert answer.status_code in (409, 422)
    assert LOST in answer.json()["detail"]


def test_a_known_zone_or_another_name_is_taken(api: ApiClient) -> None:
    schedule = lost()
    assert api.patch(f"/schedules/{schedule.id}", {"name": "Renamed"}).status_code == 200
    assert api.patch(f"/schedules/{schedule.id}", {"timezone": "Europe/Berlin"}).json()["next_run_at"] is not None
    assert api.get(f"/schedules/{schedule.id}/preview").status_code == 200


def test_the_admin_form_says_it() -> None:
    client, address = superuser(), f"/admin/schedules/schedule/{lost().pk}/change/"
    data = {**form_data(client.get(address).content.decode(), "schedule_form"), "jitter_seconds": "5"}
    assert LOST in errors_of(client.post(address, data))["__all__"][0]
