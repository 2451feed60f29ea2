"""Why a schedule did, or did not, run at a moment: the Run that answers for it, and one sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from uuid import UUID

from django.db.models import Q

from runs.identity import EPOCH, MILLISECOND
from runs.models import Run, RunStatus, Trigger
from runs.retention_settings import retention_policy
from runs.sentences import run_sentence, shown
from schedules.drafts import remaining_runs, timing_of
from schedules.models import Schedule, SchedulePause, ScheduleStatus, ScheduleType
from schedules.nearest import previous_fire
from schedules.recurrence import describe, fires, next_fire
from schedules.timing import Timing
from schedules.zones import UnknownZone, find_zone

INSTANT = timedelta(microseconds=1)
# How far `max_runs` is counted ahead before a sentence stops promising.
MOST_COUNTED = 1000


@dataclass(frozen=True, slots=True)
class Explanation:
    """`run` is None where no Run answers for the moment."""

    at: datetime
    run: Run | None
    sentence: str


@dataclass(frozen=True, slots=True)
class _Question:
    """One moment of one schedule. `until` is where the moment, as precisely as it was written, is over."""

    schedule: Schedule
    timing: Timing
    zone: tzinfo
    at: datetime
    until: datetime
    now: datetime

    @property
    def nominal(self) -> datetime | None:
        """The nominal time that the question means, by the timing as it is now."""
        try:
            found = next_fire(self.timing, self.at - INSTANT)
        except ValueError:  # see _not_computable
            return None
        return found if found is not None and found < self.until else None

    def shown(self, moment: datetime) -> str:
        """A moment in the schedule's own zone."""
        return shown(moment, self.zone)


def explain(*, schedule: Schedule, at: datetime, now: datetime) -> Explanation:
    """Answer for the moment `at` (aware), in the schedule's time zone.

    A moment written in whole seconds (or milliseconds) also means the nominal time within that second
    (millisecond): nobody types the microseconds of a grid that starts at the schedule's creation.
    """
    question = _Question(
        schedule=schedule,
        timing=timing_of(schedule),
        zone=_zone_of(schedule),
        at=at,
        until=at + _precision(at),
        now=now,
    )
    run = _answering_run(question) if at >= EPOCH else None
    if run is not None:
        sentence = run_sentence(run, zone=question.zone, now=now)
    else:
        sentence = next(text for text in (reason(question) for reason in _REASONS) if text)
    return Explanation(at, run, sentence)


def _zone_of(schedule: Schedule) -> tzinfo:
    try:
        return find_zone(schedule.timezone)
    except UnknownZone:
        return UTC


def _precision(at: datetime) -> timedelta:
    if at.microsecond == 0:
        return timedelta(seconds=1)
    return MILLISECOND if at.microsecond % 1000 == 0 else INSTANT


def _answering_run(question: _Question) -> Run | None:
    """The scheduled Run of that moment, else the skipped Run whose gap covers it, else any other Run of that moment."""
    runs = Run.objects.filter(schedule_id=question.schedule.id)
    # Ids sort by their nominal time, so one step back in the index of ids finds the Run or its gap.
    latest = runs.filter(trigger=Trigger.SCHEDULE, id__lt=_first_id(question.until)).order_by("-id").first()
    if latest is not None and (latest.scheduled_at >= question.at or _gap_covers(latest, question)):
        return latest
    others = runs.exclude(trigger=Trigger.SCHEDULE).filter(
        id__gte=_first_id(question.at - MILLISECOND + INSTANT), id__lt=_first_id(question.until)
    )
    then = others.filter(scheduled_at__gte=question.at, scheduled_at__lt=question.until)
    return then.order_by("-id").first()


def _first_id(moment: datetime) -> UUID:
    """The lowest id of the first whole millisecond that is not before `moment`: ids count milliseconds only."""
    return UUID(int=max(0, -((EPOCH - moment) // MILLISECOND)) << 80)


def _gap_covers(run: Run, question: _Question) -> bool:
    """Whether the due times that a skipped Run stands for reach the moment."""
    nominal = question.nominal
    if run.status != RunStatus.SKIPPED or nominal is None:
        return False
    interval = question.timing.interval_seconds
    if question.timing.schedule_type == ScheduleType.INTERVAL and interval:
        return nominal - run.scheduled_at < timedelta(seconds=interval * run.missed_ticks)
    missed = list(islice(fires(question.timing, run.scheduled_at - INSTANT), run.missed_ticks))
    return bool(missed) and nominal <= missed[-1]


# --- Why there is no Run: the first that has something to say ---------------------------------------------------
def _created_later(question: _Question) -> str | None:
    created_at = question.schedule.created_at
    if question.until > created_at:
        return None
    return f"The schedule did not exist yet: it was created at {question.shown(created_at)}."


def _outside_window(question: _Question) -> str | None:
    timing = question.timing
    if question.until <= timing.started_at:
        return f"That is before the schedule starts, at {question.shown(timing.started_at)}."
    if timing.expires_at and question.at > timing.expires_at:
        return f"That is after the schedule ends, at {question.shown(timing.expires_at)}."
    return None


def _paused(question: _Question) -> str | None:
    pause = (
        SchedulePause.objects.filter(Q(resumed_at__isnull=True) | Q(resumed_at__gt=question.at))
        .filter(schedule=question.schedule, paused_at__lt=question.until)
        .order_by("-paused_at")
        .first()
    )
    if pause is None:
        return None
    reason = f" ({pause.reason})" if pause.reason else ""
    since = question.shown(pause.paused_at)
    if pause.resumed_at:
        return f"The schedule was paused then, from {since} to {question.shown(pause.resumed_at)}{reason}."
    if question.at > question.now:
        return f"The schedule is paused since {since}{reason}: it won't run then unless it is resumed before."
    return f"The schedule was paused then; it is since {since}{reason}."


def _not_computable(question: _Question) -> str | None:
    try:
        describe(question.timing)
        next_fire(question.timing, question.at)
    except ValueError as error:
        return f"No run is on record, and what is due can't be computed: {error} Edit the timing."
    return None


def _not_nominal(question: _Question) -> str | None:
    if question.nominal is not None:
        return None
    before = previous_fire(question.timing, question.at)
    after = next_fire(question.timing, question.at)
    near = " and ".join(question.shown(moment) for moment in (before, after) if moment)
    nearest = f"; the nearest due times are {near}" if before and after else f"; the nearest due time is {near}"
    return f"Nothing is due then ({describe(question.timing)}){nearest if near else ''}."


def _future(question: _Question) -> str | None:
    nominal = question.nominal
    if nominal is None or nominal <= question.now:
        return None
    left = remaining_runs(question.schedule)
    if question.schedule.status == ScheduleStatus.EXPIRED:
        return "The schedule has expired: it won't run then."
    if left is not None and left <= MOST_COUNTED:
        ahead = list(islice(fires(question.timing, question.now), left))
        if not ahead or nominal > ahead[-1]:
            return f"max_runs ({question.schedule.max_runs}) will be used up before then."
    return f"It is due at {question.shown(nominal)}, which is still to come."


def _not_enqueued(question: _Question) -> str | None:
    schedule, nominal = question.schedule, question.nominal
    if nominal is None or schedule.next_run_at is None or schedule.next_run_at > nominal:
        return None
    if schedule.last_error:
        return f"It was due, but the schedule is held back: {schedule.last_error}"
    return "It is due, but no worker has taken it up yet; if this stays so, see that a worker is running."


def _removed(question: _Question) -> str | None:
    nominal, policy = question.nominal, retention_policy()
    if nominal is None or not policy.may_be_gone(nominal, question.now):
        return None
    return (
        "No run is on record any more: one that ended so long ago is removed by retention (RETENTION_SUCCESS_DAYS, "
        "RETENTION_FAILED_DAYS), unless it is among the newest of its schedule. An archive may still have it."
    )


def _used_up(question: _Question) -> str | None:
    if remaining_runs(question.schedule) != 0:
        return None
    return f"The schedule had used up its max_runs ({question.schedule.max_runs})."


def _no_record(question: _Question) -> str | None:
    changed = question.shown(question.schedule.updated_at)
    return (
        f"No run is on record: by today's timing it was due, but the schedule was last changed at {changed}, "
        "and what was not enqueued by then follows the new timing."
    )


_REASONS: tuple[Callable[[_Question], str | None], ...] = (
    _created_later,
    _outside_window,
    _paused,
    _not_computable,
    _not_nominal,
    _future,
    _not_enqueued,
    _removed,
    _used_up,
    _no_record,
)
