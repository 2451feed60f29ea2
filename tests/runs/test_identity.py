"""Ids of runs and attempts."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from runs.identity import EPOCH, MILLISECOND, attempt_id, new_run_id, scheduled_run_id

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
SCHEDULE = uuid.UUID("7b0c5c3e-6c9d-4f53-9a4e-0f6a2d0f3c11")
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def id_time(run_id: uuid.UUID) -> datetime:
    """The moment in an id's time part."""
    return EPOCH + (run_id.int >> 80) * MILLISECOND


@given(MOMENTS, st.uuids())
def test_a_scheduled_id_is_a_uuid7_that_carries_the_nominal_time(moment: datetime, schedule: uuid.UUID) -> None:
    run = scheduled_run_id(schedule, moment)
    assert (run.version, run.variant) == (7, uuid.RFC_4122)
    assert timedelta(0) <= moment - id_time(run) < timedelta(milliseconds=1)


def test_the_same_schedule_and_time_always_give_the_same_id() -> None:
    # A literal: stored ids must still be found by every later version.
    assert scheduled_run_id(SCHEDULE, NOON) == uuid.UUID("019cd79e-4600-7b1c-8c85-c4d38d9e81d2")


@given(MOMENTS, st.uuids(), st.uuids())
def test_two_schedules_at_the_same_time_have_different_ids(moment: datetime, one: uuid.UUID, two: uuid.UUID) -> None:
    assert (scheduled_run_id(one, moment) == scheduled_run_id(two, moment)) == (one == two)


@given(st.lists(MOMENTS, min_size=2, max_size=2), st.uuids(), st.uuids())
def test_later_times_sort_later_whatever_the_schedule(moments: list[datetime], one: uuid.UUID, two: uuid.UUID) -> None:
    early, late = sorted(moments)
    if late - early >= timedelta(milliseconds=1):
        assert scheduled_run_id(one, early) < scheduled_run_id(two, late)


def test_two_manual_runs_of_one_moment_have_different_ids() -> None:
    assert new_run_id(NOON) != new_run_id(NOON)


@given(MOMENTS, st.uuids())
def test_an_attempt_shares_the_time_part_of_its_run(moment: datetime, schedule: uuid.UUID) -> None:
    run = scheduled_run_id(schedule, moment)
    attempt = attempt_id(run)
    assert (id_time(attempt), attempt.version, attempt.variant) == (id_time(run), 7, uuid.RFC_4122)
    assert attempt != run
