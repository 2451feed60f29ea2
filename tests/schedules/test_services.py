"""Schedules: created, changed, paused, resumed and deleted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings

from schedules.errors import WrongState
from schedules.models import Schedule, SchedulePause
from schedules.services import (
    create_schedule,
    delete_schedule,
    pause_schedule,
    resume_schedule,
    timing_of,
    update_schedule,
)
from targets.errors import InvalidFields
from tests.factories import NOW, make_schedule, make_target

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def interval_fields(**fields: Any) -> dict[str, Any]:
    """What a user must send for an interval schedule, and `fields`."""
    target_id = fields.pop("target_id", None) or make_target().id
    return {
        "name": "Sync",
        "target_id": target_id,
        "schedule_type": "interval",
        "interval_seconds": 60,
        "timezone": "UTC",
        **fields,
    }


def cron_fields(expression: str, **fields: Any) -> dict[str, Any]:
    return interval_fields(schedule_type="cron", interval_seconds=None, cron_expression=expression, **fields)


def once_fields(run_at: datetime, **fields: Any) -> dict[str, Any]:
    return interval_fields(schedule_type="once", interval_seconds=None, run_at=run_at, **fields)


def refused(fields: dict[str, Any], *, now: datetime = NOW) -> dict[str, str]:
    with pytest.raises(InvalidFields) as caught:
        create_schedule(fields=fields, now=now)
    return caught.value.errors


def refused_change(schedule: Schedule, *, now: datetime = NOW, **changes: Any) -> dict[str, str]:
    with pytest.raises(InvalidFields) as caught:
        update_schedule(schedule_id=schedule.id, changes=changes, now=now)
    return caught.value.errors


class TestCreate:
    def test_it_starts_now_and_fires_one_interval_later(self) -> None:
        schedule = create_schedule(fields=interval_fields(), now=NOW)
        schedule.refresh_from_db()
        assert (schedule.status, schedule.started_at, schedule.next_run_at) == ("active", NOW, NOW + MINUTE)
        assert (schedule.created_at, schedule.updated_at) == (NOW, NOW)

    def test_it_takes_defaults_from_the_settings(self, settings: Settings) -> None:
        settings.MAX_RETRIES, settings.RETRY_DELAY_SECONDS = 7, 2.5
        settings.JOB_MISFIRE_GRACE_SECONDS, settings.SCHEDULER_TIME_ZONE = 99, "Asia/Kolkata"
        fields = interval_fields()
        del fields["timezone"]
        schedule = create_schedule(fields=fields, now=NOW)
        assert (schedule.max_retries, schedule.retry_delay_seconds) == (7, 2.5)
        assert (schedule.misfire_grace_seconds, schedule.timezone) == (99, "Asia/Kolkata")
        assert (schedule.catch_up, schedule.overlap_policy, schedule.on_worker_lost) == ("latest", "skip", "auto")
        assert (schedule.max_retry_delay_seconds, schedule.jitter_seconds) == (3600, 0)

    def test_it_raises_the_default_cap_to_a_long_first_wait(self) -> None:
        schedule = create_schedule(fields=interval_fields(retry_delay_seconds=7200), now=NOW)
        assert schedule.max_retry_delay_seconds == 7200

    def test_it_leaves_out_what_lies_before_its_creation(self) -> None:
        start = NOW - timedelta(days=3, seconds=10)
        schedule = create_schedule(fields=interval_fields(start_at=start), now=NOW)
        assert (schedule.started_at, schedule.next_run_at) == (start, NOW + timedelta(seconds=50))

    def test_it_waits_for_a_start_in_the_future(self) -> None:
        schedule = create_schedule(fields=interval_fields(start_at=NOW + HOUR), now=NOW)
        assert schedule.next_run_at == NOW + HOUR + MINUTE

    def test_a_cron_may_fire_at_its_very_start(self) -> None:
        schedule = create_schedule(fields=cron_fields("0 * * * *", start_at=NOW + HOUR), now=NOW)
        assert schedule.next_run_at == NOW + HOUR

    def test_it_counts_the_duration_from_the_start(self) -> None:
        schedule = create_schedule(fields=interval_fields(start_at=NOW + HOUR, duration_seconds=300), now=NOW)
        assert schedule.expires_at == NOW + HOUR + timedelta(seconds=300)

    def test_once_fires_at_its_moment(self) -> None:
        schedule = create_schedule(fields=once_fields(NOW + HOUR), now=NOW)
        assert schedule.next_run_at == NOW + HOUR

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"interval_seconds": None}, "interval_seconds"),
            ({"cron_expression": "* * * * *"}, "cron_expression"),
            ({"run_at": NOW + HOUR}, "run_at"),
            ({"schedule_type": "cron"}, "interval_seconds"),
            ({"schedule_type": "cron", "interval_seconds": None}, "cron_expression"),
            ({"schedule_type": "once", "interval_seconds": None}, "run_at"),
            ({"schedule_type": "weekly"}, "schedule_type"),
            ({"schedule_type": None}, "schedule_type"),
            ({"name": None}, "name"),
            ({"name": "  "}, "name"),
            ({"name": "a\nb"}, "name"),
            ({"name": "x" * 201}, "name"),
            ({"target_id": uuid4()}, "target_id"),
            ({"timezone": "Mars/Olympus"}, "timezone"),
            ({"timezone": "localtime"}, "timezone"),
            ({"timezone": "../../etc/passwd"}, "timezone"),
            ({"interval_seconds": 0}, "interval_seconds"),
            ({"interval_seconds": 366 * 86_400 + 1}, "interval_seconds"),
            ({"max_runs": 0}, "max_runs"),
            ({"max_runs": 2**31}, "max_runs"),
            ({"duration_seconds": 0}, "duration_seconds"),
            ({"duration_seconds": 2**62}, "duration_seconds"),
            ({"misfire_grace_seconds": -1}, "misfire_grace_seconds"),
            ({"misfire_grace_seconds": 31_622_401}, "misfire_grace_seconds"),
            ({"max_retries": 101}, "max_retries"),
            ({"retry_delay_seconds": -0.1}, "retry_delay_seconds"),
            ({"retry_delay_seconds": 86_401}, "retry_delay_seconds"),
            ({"retry_delay_seconds": 10, "max_retry_delay_seconds": 9.5}, "max_retry_delay_seconds"),
            ({"catch_up": "some"}, "catch_up"),
            ({"overlap_policy": "kill"}, "overlap_policy"),
            ({"on_worker_lost": "cry"}, "on_worker_lost"),
            ({"jitter_seconds": 60}, "jitter_seconds"),
            ({"jitter_seconds": -1}, "jitter_seconds"),
            ({"duration_seconds": 300, "expires_at": NOW + HOUR}, "expires_at"),
            ({"expires_at": NOW}, "expires_at"),
            ({"expires_at": NOW - HOUR, "start_at": NOW}, "expires_at"),
            ({"expires_at": NOW - HOUR, "start_at": NOW - 2 * HOUR}, "expires_at"),
            ({"duration_seconds": 59}, "duration_seconds"),
            ({"expires_at": NOW + timedelta(seconds=59)}, "expires_at"),
            ({"start_at": datetime(9000, 1, 1, tzinfo=UTC)}, "start_at"),
            ({"start_at": datetime(1969, 12, 31, tzinfo=UTC)}, "start_at"),
            ({"start_at": datetime(8999, 1, 1, tzinfo=UTC), "duration_seconds": 10 * 366 * 86_400}, "duration_seconds"),
        ],
    )
    def test_it_refuses_what_can_not_be(self, changes: dict[str, Any], field: str) -> None:
        errors = refused(interval_fields(**changes))
        assert field in errors
        assert errors[field][0].isupper()
        assert errors[field].endswith(".")
        assert not Schedule.objects.exists()

    def test_it_names_every_wrong_field_at_once(self) -> None:
        errors = refused(interval_fields(max_runs=0, max_retries=-1, timezone="Nowhere"))
        assert set(errors) == {"max_runs", "max_retries", "timezone"}

    @pytest.mark.parametrize("expression", ["* * * *", "* * * * * *", "61 * * * *", "0 0 30 2 *", "", "nonsense"])
    def test_it_refuses_crons_that_are_wrong_or_never_fire(self, expression: str) -> None:
        assert set(refused(cron_fields(expression))) == {"cron_expression"}

    def test_it_refuses_a_window_too_short_for_its_cron(self) -> None:
        assert set(refused(cron_fields("0 3 * * *", duration_seconds=3600))) == {"duration_seconds"}

    def test_it_refuses_a_window_of_no_length_even_if_a_cron_would_fire_in_it(self) -> None:
        fields = cron_fields("0 * * * *", start_at=NOW + HOUR, expires_at=NOW + HOUR)
        assert set(refused(fields)) == {"expires_at"}

    @pytest.mark.parametrize("run_at", [NOW, NOW - MINUTE])
    def test_it_refuses_once_in_the_past(self, run_at: datetime) -> None:
        assert "past" in refused(once_fields(run_at))["run_at"]

    def test_it_refuses_once_before_its_start_or_after_its_end(self) -> None:
        assert set(refused(once_fields(NOW + HOUR, start_at=NOW + 2 * HOUR))) == {"run_at"}
        assert set(refused(once_fields(NOW + HOUR, expires_at=NOW + MINUTE))) == {"expires_at"}
        assert set(refused(once_fields(NOW + HOUR, duration_seconds=60))) == {"duration_seconds"}

    def test_it_refuses_a_deleted_target(self) -> None:
        target = make_target(deleted_at=NOW)
        assert set(refused(interval_fields(target_id=target.id))) == {"target_id"}

    def test_it_takes_an_alias_of_a_zone(self) -> None:
        assert create_schedule(fields=interval_fields(timezone="Asia/Calcutta"), now=NOW).timezone == "Asia/Calcutta"

    def test_it_takes_jitter_below_the_shortest_gap(self) -> None:
        assert create_schedule(fields=cron_fields("0,10 * * * *", jitter_seconds=599), now=NOW).jitter_seconds == 599
        assert set(refused(cron_fields("0,10 * * * *", jitter_seconds=600))) == {"jitter_seconds"}


class TestUpdate:
    def test_it_keeps_the_next_fire_where_the_timing_stays(self) -> None:
        schedule = make_schedule(next_run_at=NOW - MINUTE)
        changes = {"name": "New", "interval_seconds": 60, "max_retries": 0}
        update_schedule(schedule_id=schedule.id, changes=changes, now=NOW)
        schedule.refresh_from_db()
        assert (schedule.name, schedule.max_retries, schedule.next_run_at) == ("New", 0, NOW - MINUTE)

    def test_it_moves_the_grid_with_the_interval(self) -> None:
        schedule = make_schedule()
        later = NOW + timedelta(seconds=100)
        update_schedule(schedule_id=schedule.id, changes={"interval_seconds": 45}, now=later)
        schedule.refresh_from_db()
        assert schedule.next_run_at == NOW + timedelta(seconds=135)

    def test_it_moves_the_grid_with_the_start(self) -> None:
        schedule = make_schedule()
        start = NOW - timedelta(seconds=10)
        update_schedule(schedule_id=schedule.id, changes={"start_at": start}, now=NOW)
        schedule.refresh_from_db()
        assert (schedule.started_at, schedule.next_run_at) == (start, NOW + timedelta(seconds=50))

    def test_the_end_of_a_duration_moves_with_the_start(self) -> None:
        schedule = make_schedule(duration_seconds=300, expires_at=NOW + timedelta(seconds=300))
        update_schedule(schedule_id=schedule.id, changes={"start_at": NOW + HOUR}, now=NOW)
        schedule.refresh_from_db()
        assert schedule.expires_at == NOW + HOUR + timedelta(seconds=300)

    def test_it_goes_back_to_the_creation_without_a_start(self) -> None:
        schedule = make_schedule(start_at=NOW + HOUR, started_at=NOW + HOUR)
        update_schedule(schedule_id=schedule.id, changes={"start_at": None}, now=NOW)
        schedule.refresh_from_db()
        assert (schedule.started_at, schedule.next_run_at) == (NOW, NOW + MINUTE)

    def test_a_new_type_takes_the_former_field_away(self) -> None:
        schedule = make_schedule()
        changes = {"schedule_type": "cron", "cron_expression": "30 12 * * *"}
        update_schedule(schedule_id=schedule.id, changes=changes, now=NOW)
        schedule.refresh_from_db()
        assert (schedule.interval_seconds, schedule.cron_expression) == (None, "30 12 * * *")
        assert schedule.next_run_at == NOW + timedelta(minutes=30)

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"cron_expression": "* * * * *"}, "cron_expression"),
            ({"schedule_type": "cron"}, "cron_expression"),
            ({"schedule_type": "cron", "cron_expression": "* * * * *", "interval_seconds": 60}, "interval_seconds"),
            ({"interval_seconds": None}, "interval_seconds"),
            ({"name": None}, "name"),
            ({"timezone": None}, "timezone"),
            ({"target_id": uuid4()}, "target_id"),
            ({"expires_at": NOW - HOUR}, "expires_at"),
            ({"duration_seconds": 1}, "duration_seconds"),
            ({"retry_delay_seconds": 4000}, "max_retry_delay_seconds"),
            ({"jitter_seconds": 60}, "jitter_seconds"),
            ({"schedule_type": "once", "run_at": NOW}, "run_at"),
        ],
    )
    def test_it_refuses_what_can_not_be(self, changes: dict[str, Any], field: str) -> None:
        schedule = make_schedule()
        assert set(refused_change(schedule, **changes)) == {field}
        assert Schedule.objects.filter(pk=schedule.pk, name=schedule.name, updated_at=NOW).exists()

    def test_a_shorter_interval_must_leave_room_for_the_jitter(self) -> None:
        schedule = make_schedule(jitter_seconds=30)
        assert set(refused_change(schedule, interval_seconds=30)) == {"jitter_seconds"}

    def test_it_replaces_a_duration_by_an_end_and_back(self) -> None:
        schedule = make_schedule(duration_seconds=300, expires_at=NOW + timedelta(seconds=300))
        update_schedule(schedule_id=schedule.id, changes={"expires_at": NOW + HOUR}, now=NOW)
        schedule.refresh_from_db()
        assert (schedule.duration_seconds, schedule.expires_at) == (None, NOW + HOUR)
        update_schedule(schedule_id=schedule.id, changes={"duration_seconds": 600}, now=NOW)
        schedule.refresh_from_db()
        assert (schedule.duration_seconds, schedule.expires_at) == (600, NOW + timedelta(seconds=600))

    def test_it_takes_the_end_away(self) -> None:
        schedule = make_schedule(duration_seconds=300, expires_at=NOW + timedelta(seconds=300))
        update_schedule(schedule_id=schedule.id, changes={"expires_at": None}, now=NOW)
        schedule.refresh_from_db()
        assert (schedule.duration_seconds, schedule.expires_at) == (None, None)

    def test_a_null_duration_leaves_a_given_end_alone(self) -> None:
        schedule = make_schedule(expires_at=NOW + HOUR)
        update_schedule(schedule_id=schedule.id, changes={"duration_seconds": None}, now=NOW)
        schedule.refresh_from_db()
        assert schedule.expires_at == NOW + HOUR

    def test_it_takes_back_what_it_gave_out(self) -> None:
        end = NOW + timedelta(seconds=300)
        schedule = make_schedule(duration_seconds=300, expires_at=end)
        update_schedule(schedule_id=schedule.id, changes={"duration_seconds": 600, "expires_at": end}, now=NOW)
        schedule.refresh_from_db()
        assert schedule.expires_at == NOW + timedelta(seconds=600)
        assert set(refused_change(schedule, duration_seconds=600, expires_at=end)) == {"expires_at"}

    def test_an_end_in_the_past_expires_it(self) -> None:
        schedule = make_schedule()
        update_schedule(
            schedule_id=schedule.id, changes={"expires_at": NOW + 2 * MINUTE}, now=NOW + timedelta(minutes=5)
        )
        schedule.refresh_from_db()
        assert (schedule.status, schedule.next_run_at) == ("expired", None)

    def test_max_runs_at_or_below_the_count_expires_it_and_a_higher_one_revives_it(self) -> None:
        schedule = make_schedule(run_count=5)
        update_schedule(schedule_id=schedule.id, changes={"max_runs": 5}, now=NOW)
        schedule.refresh_from_db()
        assert (schedule.status, schedule.next_run_at) == ("expired", None)
        update_schedule(schedule_id=schedule.id, changes={"max_runs": 6}, now=NOW + HOUR)
        schedule.refresh_from_db()
        assert (schedule.status, schedule.next_run_at) == ("active", NOW + HOUR + MINUTE)

    def test_a_later_end_revives_an_expired_schedule(self) -> None:
        schedule = make_schedule(status="expired", next_run_at=None, expires_at=NOW + HOUR)
        later = NOW + 2 * HOUR
        update_schedule(schedule_id=schedule.id, changes={"expires_at": later + HOUR}, now=later)
        schedule.refresh_from_db()
        assert (schedule.status, schedule.next_run_at) == ("active", later + MINUTE)

    def test_a_name_does_not_revive_an_expired_schedule(self) -> None:
        schedule = make_schedule(status="expired", next_run_at=None, expires_at=NOW + HOUR)
        update_schedule(schedule_id=schedule.id, changes={"name": "Old"}, now=NOW + 2 * HOUR)
        schedule.refresh_from_db()
        assert (schedule.status, schedule.name) == ("expired", "Old")

    def test_a_spent_once_can_be_renamed_and_set_again(self) -> None:
        schedule = make_schedule(
            schedule_type="once", interval_seconds=None, run_at=NOW, status="expired", next_run_at=None
        )
        update_schedule(schedule_id=schedule.id, changes={"name": "Done", "run_at": NOW}, now=NOW + HOUR)
        assert set(refused_change(schedule, run_at=NOW + MINUTE, now=NOW + HOUR)) == {"run_at"}
        update_schedule(schedule_id=schedule.id, changes={"run_at": NOW + 2 * HOUR}, now=NOW + HOUR)
        schedule.refresh_from_db()
        assert (schedule.status, schedule.next_run_at) == ("active", NOW + 2 * HOUR)

    def test_a_paused_schedule_stays_paused(self) -> None:
        schedule = make_schedule(status="paused", next_run_at=None)
        update_schedule(schedule_id=schedule.id, changes={"interval_seconds": 5, "max_runs": 9}, now=NOW)
        schedule.refresh_from_db()
        assert (schedule.status, schedule.next_run_at, schedule.interval_seconds) == ("paused", None, 5)

    def test_a_new_timing_is_not_held_back_by_the_old_one(self) -> None:
        schedule = make_schedule(held_until=NOW + HOUR, enqueue_failures=3, last_error="It broke.")
        update_schedule(schedule_id=schedule.id, changes={"name": "Same"}, now=NOW)
        schedule.refresh_from_db()
        assert schedule.held_until == NOW + HOUR
        update_schedule(schedule_id=schedule.id, changes={"interval_seconds": 30}, now=NOW)
        fresh = Schedule.objects.get()
        assert (fresh.held_until, fresh.enqueue_failures, fresh.last_error) == (None, 0, "")

    def test_it_asks_the_check_first_and_changes_nothing_if_that_objects(self) -> None:
        schedule = make_schedule()

        def objects(seen: Schedule) -> None:
            raise PermissionError(seen.name)

        with pytest.raises(PermissionError, match=schedule.name):
            update_schedule(schedule_id=schedule.id, changes={"name": "X", "max_runs": 0}, now=NOW, check=objects)
        with pytest.raises(PermissionError):
            delete_schedule(schedule_id=schedule.id, now=NOW, check=objects)
        schedule.refresh_from_db()
        assert schedule.name != "X"

    def test_it_does_not_touch_what_enqueue_writes(self) -> None:
        schedule = make_schedule()
        Schedule.objects.filter(pk=schedule.pk).update(run_count=7, last_run_at=NOW)
        update_schedule(schedule_id=schedule.id, changes={"name": "X"}, now=NOW + MINUTE)
        schedule.refresh_from_db()
        assert (schedule.run_count, schedule.last_run_at, schedule.updated_at) == (7, NOW, NOW + MINUTE)


class TestPauseAndResume:
    def test_a_pause_keeps_its_reason_and_takes_the_next_fire_away(self) -> None:
        schedule = make_schedule()
        pause_schedule(schedule_id=schedule.id, now=NOW, reason="maintenance")
        schedule.refresh_from_db()
        assert (schedule.status, schedule.paused_reason, schedule.next_run_at) == ("paused", "maintenance", None)
        pause = SchedulePause.objects.get()
        assert (pause.schedule_id, pause.paused_at, pause.resumed_at) == (schedule.id, NOW, None)
        assert pause.reason == "maintenance"

    def test_a_resume_goes_on_at_the_next_point_of_the_same_grid(self) -> None:
        schedule = make_schedule()
        pause_schedule(schedule_id=schedule.id, now=NOW)
        later = NOW + timedelta(minutes=10, seconds=20)
        resume_schedule(schedule_id=schedule.id, now=later)
        schedule.refresh_from_db()
        assert (schedule.status, schedule.next_run_at) == ("active", NOW + timedelta(minutes=11))
        assert (schedule.started_at, schedule.paused_reason) == (NOW, "")
        assert SchedulePause.objects.get().resumed_at == later

    def test_a_resume_after_the_end_expires_it(self) -> None:
        schedule = make_schedule(expires_at=NOW + HOUR)
        pause_schedule(schedule_id=schedule.id, now=NOW)
        resume_schedule(schedule_id=schedule.id, now=NOW + 2 * HOUR)
        schedule.refresh_from_db()
        assert (schedule.status, schedule.next_run_at) == ("expired", None)

    def test_a_resume_with_no_runs_left_expires_it(self) -> None:
        schedule = make_schedule(status="paused", next_run_at=None, max_runs=3, run_count=3)
        resume_schedule(schedule_id=schedule.id, now=NOW)
        schedule.refresh_from_db()
        assert schedule.status == "expired"

    @pytest.mark.parametrize("status", ["paused", "expired"])
    def test_only_an_active_schedule_can_be_paused(self, status: str) -> None:
        schedule = make_schedule(status=status, next_run_at=None)
        with pytest.raises(WrongState, match=status):
            pause_schedule(schedule_id=schedule.id, now=NOW)
        assert not SchedulePause.objects.exists()

    @pytest.mark.parametrize(("status", "next_run_at"), [("active", NOW), ("expired", None)])
    def test_only_a_paused_schedule_can_be_resumed(self, status: str, next_run_at: datetime | None) -> None:
        schedule = make_schedule(status=status, next_run_at=next_run_at)
        with pytest.raises(WrongState, match=status):
            resume_schedule(schedule_id=schedule.id, now=NOW)


class TestDelete:
    def test_it_is_out_of_sight_at_once_and_kept_for_the_purge(self) -> None:
        schedule = make_schedule()
        delete_schedule(schedule_id=schedule.id, now=NOW)
        assert not Schedule.objects.exists()
        assert Schedule.with_deleted.get().deleted_at == NOW

    def test_nothing_can_be_done_to_a_deleted_schedule_or_one_of_a_deleted_target(self) -> None:
        for schedule in (make_schedule(deleted_at=NOW), make_schedule(make_target(deleted_at=NOW))):
            with pytest.raises(Schedule.DoesNotExist):
                delete_schedule(schedule_id=schedule.id, now=NOW)
            with pytest.raises(Schedule.DoesNotExist):
                update_schedule(schedule_id=schedule.id, changes={"name": "X"}, now=NOW)
            with pytest.raises(Schedule.DoesNotExist):
                pause_schedule(schedule_id=schedule.id, now=NOW)


def test_timing_of_carries_what_decides_the_fires() -> None:
    timing = timing_of(make_schedule(expires_at=NOW + HOUR))
    assert (timing.schedule_type, timing.interval_seconds, timing.timezone) == ("interval", 60, "UTC")
    assert (timing.started_at, timing.expires_at) == (NOW, NOW + HOUR)
