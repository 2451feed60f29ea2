"""Selections of schedules. They select; services and enqueue decide and write."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import connections, models
from django.db.models import Q

if TYPE_CHECKING:
    from schedules.models import Schedule  # noqa: F401 - named in quotes, the models import this module


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    """Verbs on the schedules table."""

    def live(self) -> ScheduleQuerySet:
        """Neither the schedule nor its target is deleted."""
        return self.filter(deleted_at__isnull=True, target__deleted_at__isnull=True)

    def due(self, now: datetime) -> ScheduleQuerySet:
        """Active schedules whose next nominal time has come, longest waiting first."""
        return (
            self.live()
            .filter(Q(held_until__isnull=True) | Q(held_until__lte=now), status="active", next_run_at__lte=now)
            .order_by("next_run_at", "id")
        )

    def lock_due(self, now: datetime, limit: int) -> ScheduleQuerySet:
        """Lock up to `limit` due schedules, passing over those that another worker has locked.

        `no_key`: a plain FOR UPDATE would block inserts of Runs that reference the row. SQLite has no row locks;
        there the IMMEDIATE transaction lets one writer in at a time.
        """
        queryset = self.due(now)[:limit]
        if connections[self.db].features.has_select_for_update_skip_locked:
            return queryset.select_for_update(skip_locked=True, no_key=True, of=("self",))
        return queryset

    def next_to_fire(self) -> ScheduleQuerySet:
        """The one that fires next, of those that are not held."""
        return self.live().filter(status="active", held_until__isnull=True).order_by("next_run_at")[:1]

    def next_held(self) -> ScheduleQuerySet:
        """The one whose hold ends next."""
        return self.live().filter(status="active", held_until__isnull=False).order_by("held_until")[:1]


class VisibleSchedules(models.Manager["Schedule"]):
    """Schedules that are not deleted and whose target is not: what every list, form and look-up sees."""

    def get_queryset(self) -> ScheduleQuerySet:
        """Leave tombstones out."""
        return ScheduleQuerySet(self.model, using=self._db).live()
