"""When there will be work again: asked after every tick."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from runs.models import Run
from runs.row_fetch import RepeatedQuery
from schedules.models import Schedule

_FIRE = RepeatedQuery(Schedule.with_deleted.next_to_fire, ("id", "next_run_at"))
_HELD = RepeatedQuery(Schedule.with_deleted.next_held, ("id", "held_until"))
_READY = RepeatedQuery(Run.with_deleted.next_ready, ("id", "next_attempt_at"))


def next_due_moments() -> list[datetime]:
    """When the next schedule fires, and when the hold of the next held one ends."""
    # Two look-ups by index instead of a minimum over an expression, which would read every active row.
    return [moment for _, moment in (*_FIRE.fetch(), *_HELD.fetch())]


def next_ready_moments(full_targets: Collection[UUID]) -> list[datetime]:
    """When the next Run of a target with room is ready."""
    return [moment for _, moment in _READY.fetch(list(full_targets))]
