"""MAX_SCHEDULES_PER_KEY: how many schedules one API key may keep. Off unless set."""

from __future__ import annotations

from django.conf import settings
from rest_framework.request import Request

from access.models import ApiKey, KeySchedule
from scheduler_project.problems import Conflict
from schedules.models import Schedule
from targets.counted import counted


def make_room(request: Request) -> None:
    """Let a key that has not reached its limit make one more; call it in the transaction that makes the schedule.

    The key's row stays locked until then, so that requests at the same moment count one after the other.

    Raises:
        Conflict: the key has as many schedules as the setting allows.
    """
    most: int | None = settings.MAX_SCHEDULES_PER_KEY
    if most is None or not isinstance(request.auth, ApiKey):
        return
    ApiKey.objects.select_for_update(no_key=True).get(pk=request.auth.pk)
    made = KeySchedule.objects.filter(key=request.auth).values("schedule_id")
    # Deleted schedules are none: the default manager doesn't see them.
    if Schedule.objects.filter(pk__in=made).count() >= most:
        raise Conflict(
            f"This API key has {counted(most, 'schedule')}, as many as MAX_SCHEDULES_PER_KEY allows. Delete one first."
        )


def note_maker(request: Request, schedule: Schedule) -> None:
    """Remember which key made a schedule, also while the limit is off."""
    if isinstance(request.auth, ApiKey):
        KeySchedule.objects.create(key=request.auth, schedule_id=schedule.pk)
