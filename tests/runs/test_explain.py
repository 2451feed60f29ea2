"""Why did it (not) run then?"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from runs.explain import Explanation, explain
from runs.identity import scheduled_run_id
from runs.models import Run
from schedules.models import Schedule, SchedulePause
from schedules.services import pause_schedule, resume_schedule
from tests.factories import NOW, make_attempt, make_ended_run, make_run, make_schedule

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
LATER = NOW + 2 * HOUR


def run_of(schedule: Schedule, nominal: datetime, **fields: Any) -> Run:
    """The scheduled Run of that nominal time, as enqueue makes it."""
    return make_run(schedule, id=scheduled_run_id(schedule.id, nominal), scheduled_at=nominal, **fields)


def ended_run_of(schedule: Schedule, nominal: datetime, **fields: Any) -> Run:
    values = {"status": "success", "started_at": nominal, "completed_at": nominal, "attempt_count": 1, **fields}
    return run_of(schedule, nominal, **values)


def skipped(schedule: Schedule, nominal: datetime, reason: str, missed: int = 1) -> Run:
    return run_of(
        schedule, nominal, status="skipped", reason=reason, missed_ticks=missed, completed_at=nominal + MINUTE
    )


def ask(schedule: Schedule | None, at: datetime, now: datetime = LATER) -> Explanation:
    assert schedule is not None
    schedule.refresh_from_db()
    return explain(schedule=schedule, at=at, now=now)


class TestARunAnswers:
    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            (
                {"final_status_code": 201},
                "ran at 2026-03-10 12:01:00+00:00 and succeeded with status 201 after 1 attempt.",
            ),
            (
                {"status": "failed", "attempt_count": 4, "final_error_message": "The server answered 503."},
                "failed after 4 attempts: The server answered 503.",
            ),
            ({"status": "timeout", "final_error_type": "timeout"}, "failed after 1 attempt: timeout."),
            ({"status": "cancelled", "attempt_count": 0, "started_at": None}, "was cancelled at"),
        ],
    )
    def test_that_has_ended(self, fields: dict[str, Any], words: str) -> None:
        run = ended_run_of(make_schedule(), NOW + MINUTE, **fields)
        answer = ask(run.schedule, NOW + MINUTE)
        assert answer.run == run
        assert words in answer.sentence

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"next_attempt_at": LATER + MINUTE}, "waits until 2026-03-10 14:01:00+00:00"),
            ({"next_attempt_at": LATER - MINUTE}, "due and waits for a free worker"),
            ({"next_attempt_at": LATER - MINUTE, "queued": True}, "waits for the earlier run"),
            (
                {"status": "retrying", "next_attempt_at": LATER + MINUTE, "attempt_count": 2},
                "waits until 2026-03-10 14:01:00+00:00 after 2 attempts",
            ),
            ({"status": "running", "next_attempt_at": None, "attempt_count": 2}, "is running now: attempt 2"),
        ],
    )
    def test_that_has_not_ended(self, fields: dict[str, Any], words: str) -> None:
        schedule = make_schedule()
        holder = {"worker_id": schedule.id} if fields.get("status") == "running" else {}
        run = run_of(schedule, NOW + MINUTE, **fields, **holder)
        answer = ask(schedule, NOW + MINUTE)
        assert (answer.run, words in answer.sentence) == (run, True), answer.sentence

    @pytest.mark.parametrize(
        ("reason", "words"),
        [("overlap", "had not ended"), ("misfire", "misfire_grace_seconds"), ("coalesced", "a later due time ran")],
    )
    def test_that_was_skipped(self, reason: str, words: str) -> None:
        run = skipped(make_schedule(), NOW + MINUTE, reason)
        answer = ask(run.schedule, NOW + MINUTE)
        assert answer.run == run
        assert words in answer.sentence

    def test_of_the_second_that_was_asked_for(self) -> None:
        start = NOW + timedelta(microseconds=123_456)
        schedule = make_schedule(started_at=start, created_at=start)
        run = ended_run_of(schedule, start + MINUTE)
        for at in (NOW + MINUTE, start + MINUTE, NOW + MINUTE + timedelta(milliseconds=123)):
            assert ask(schedule, at).run == run
        for at in (NOW + MINUTE + timedelta(microseconds=1), NOW + MINUTE + timedelta(seconds=1)):
            assert ask(schedule, at).run is None

    def test_whatever_the_timing_has_become(self) -> None:
        schedule = make_schedule()
        run = ended_run_of(schedule, NOW + MINUTE)
        Schedule.objects.update(interval_seconds=7)
        assert ask(schedule, NOW + MINUTE).run == run

    def test_started_by_hand_where_none_was_scheduled(self) -> None:
        schedule = make_schedule()
        by_hand = make_ended_run(schedule, trigger="manual", scheduled_at=NOW + timedelta(seconds=30))
        assert ask(schedule, NOW + timedelta(seconds=30)).run == by_hand
        assert ask(schedule, NOW + timedelta(seconds=31)).run is None

    def test_started_by_hand_at_the_very_microsecond_that_the_api_shows(self) -> None:
        schedule = make_schedule()
        at = NOW + timedelta(seconds=30, microseconds=285_436)
        just_after = at + timedelta(microseconds=1)
        first, second = (make_ended_run(schedule, trigger="manual", scheduled_at=when) for when in (at, just_after))
        assert ask(schedule, at).run == first
        assert ask(schedule, just_after).run == second
        assert ask(schedule, at - timedelta(microseconds=1)).run is None

    def test_of_this_schedule_only(self) -> None:
        ended_run_of(make_schedule(), NOW + MINUTE)
        assert ask(make_schedule(), NOW + MINUTE).run is None


class TestAGapAnswers:
    @pytest.mark.parametrize(("minutes", "covered"), [(1, True), (2, True), (5, True), (6, False)])
    def test_for_as_many_ticks_as_it_counts(self, minutes: int, covered: bool) -> None:
        schedule = make_schedule(status="active", next_run_at=NOW + 10 * HOUR)
        gap = skipped(schedule, NOW + MINUTE, "misfire", missed=5)
        answer = ask(schedule, NOW + minutes * MINUTE)
        assert answer.run == (gap if covered else None)
        assert ("one of 5 due times" in answer.sentence) is covered

    def test_for_the_ticks_of_a_cron(self) -> None:
        schedule = make_schedule(schedule_type="cron", interval_seconds=None, cron_expression="0 * * * *")
        gap = skipped(schedule, NOW + HOUR, "coalesced", missed=2)
        assert ask(schedule, NOW + 2 * HOUR, now=NOW + 9 * HOUR).run == gap
        assert ask(schedule, NOW + 3 * HOUR, now=NOW + 9 * HOUR).run is None

    def test_not_for_moments_between_its_ticks(self) -> None:
        schedule = make_schedule()
        skipped(schedule, NOW + MINUTE, "misfire", missed=5)
        assert ask(schedule, NOW + timedelta(seconds=150)).run is None

    def test_not_for_what_a_later_run_answers(self) -> None:
        schedule = make_schedule()
        skipped(schedule, NOW + MINUTE, "misfire", missed=5)
        run = ended_run_of(schedule, NOW + 6 * MINUTE)
        assert ask(schedule, NOW + 6 * MINUTE).run == run


class TestNoRunAnswers:
    def sentence(self, schedule: Schedule, at: datetime, now: datetime = LATER) -> str:
        answer = ask(schedule, at, now)
        assert answer.run is None
        assert answer.at == at
        return answer.sentence

    def test_before_the_creation(self) -> None:
        schedule = make_schedule(started_at=NOW - 10 * HOUR, start_at=NOW - 10 * HOUR)
        assert "did not exist yet" in self.sentence(schedule, NOW - HOUR)

    def test_before_the_start_and_after_the_end(self) -> None:
        schedule = make_schedule(started_at=NOW + HOUR, expires_at=NOW + 2 * HOUR)
        assert "before the schedule starts, at 2026-03-10 13:00:00+00:00" in self.sentence(schedule, NOW + MINUTE)
        assert "after the schedule ends, at 2026-03-10 14:00:00+00:00" in self.sentence(schedule, NOW + 3 * HOUR)

    def test_while_it_was_paused(self) -> None:
        schedule = make_schedule()
        pause_schedule(schedule_id=schedule.id, now=NOW + MINUTE / 2, reason="maintenance")
        assert "paused then; it is since" in self.sentence(schedule, NOW + 5 * MINUTE)
        assert "is paused since" in self.sentence(schedule, LATER + MINUTE)
        resume_schedule(schedule_id=schedule.id, now=NOW + HOUR)
        words = self.sentence(schedule, NOW + 5 * MINUTE)
        assert "from 2026-03-10 12:00:30+00:00 to 2026-03-10 13:00:00+00:00 (maintenance)" in words
        assert "paused" not in self.sentence(schedule, NOW + 61 * MINUTE)
        assert SchedulePause.objects.count() == 1

    def test_a_pause_explains_nothing_before_it(self) -> None:
        schedule = make_schedule()
        pause_schedule(schedule_id=schedule.id, now=NOW + HOUR)
        assert "paused" not in self.sentence(schedule, NOW + timedelta(seconds=30))

    def test_between_two_fires_it_names_the_nearest(self) -> None:
        words = self.sentence(make_schedule(timezone="Asia/Kolkata"), NOW + timedelta(seconds=90))
        assert words == (
            "Nothing is due then (every minute); the nearest due times are "
            "2026-03-10 17:31:00+05:30 and 2026-03-10 17:32:00+05:30."
        )

    def test_before_the_first_fire_it_names_that_one(self) -> None:
        words = self.sentence(make_schedule(), NOW + timedelta(seconds=30))
        assert words.endswith("the nearest due time is 2026-03-10 12:01:00+00:00.")

    def test_a_fire_that_is_still_to_come(self) -> None:
        schedule = make_schedule(max_runs=2)
        assert "still to come" in self.sentence(schedule, NOW + 2 * MINUTE, now=NOW)
        assert "max_runs (2) will be used up" in self.sentence(schedule, NOW + 3 * MINUTE, now=NOW)
        Schedule.objects.update(status="expired", next_run_at=None)
        assert "has expired" in self.sentence(schedule, NOW + 2 * MINUTE, now=NOW)

    def test_a_fire_that_no_worker_has_taken_up(self) -> None:
        schedule = make_schedule()
        assert "no worker has taken it up" in self.sentence(schedule, NOW + MINUTE)
        Schedule.objects.update(last_error="It can't be computed.")
        assert self.sentence(schedule, NOW + MINUTE).endswith("held back: It can't be computed.")

    def test_a_fire_after_the_last_run_that_was_allowed(self) -> None:
        schedule = make_schedule(status="expired", next_run_at=None, max_runs=3, run_count=3)
        assert "used up its max_runs (3)" in self.sentence(schedule, NOW + 9 * MINUTE)

    def test_a_fire_that_an_edit_brought_too_late(self) -> None:
        schedule = make_schedule(next_run_at=LATER + MINUTE, updated_at=NOW + HOUR)
        assert "was last changed at 2026-03-10 13:00:00+00:00" in self.sentence(schedule, NOW + 5 * MINUTE)


def test_an_attempt_changes_nothing_about_the_answer() -> None:
    run = ended_run_of(make_schedule(), NOW + MINUTE)
    make_attempt(run)
    assert ask(run.schedule, NOW + MINUTE).run == run


class TestRetention:
    """A Run that may have been removed is not said to have been missing."""

    OLD: dict[str, Any] = {"created_at": NOW - timedelta(days=400), "started_at": NOW - timedelta(days=400)}

    def test_a_moment_older_than_the_retention_may_have_had_its_run(self) -> None:
        schedule = make_schedule(**self.OLD, max_runs=5, run_count=5, updated_at=NOW)
        answer = ask(schedule, NOW - timedelta(days=20))
        assert answer.run is None
        assert answer.sentence.startswith("No run is on record any more: one that ended so long ago is removed")

    def test_a_younger_moment_without_a_run_never_had_one(self) -> None:
        assert "any more" not in ask(make_schedule(**self.OLD), NOW - timedelta(days=10)).sentence

    def test_an_old_run_that_is_kept_still_answers(self) -> None:
        nominal = NOW - timedelta(days=20)
        run = ended_run_of(make_schedule(**self.OLD), nominal)
        assert ask(run.schedule, nominal).run == run

    def test_a_moment_at_which_nothing_was_due_was_not_removed(self) -> None:
        answer = ask(make_schedule(**self.OLD), NOW - timedelta(days=20, seconds=30))
        assert answer.sentence.startswith("Nothing is due then")
