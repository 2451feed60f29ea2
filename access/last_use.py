"""When a key or a sign-in was last used, exact to a minute: enough for people, and cheap for the database."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q

from access.models import ApiKey, SignIn

USE_NOTED_EVERY = timedelta(minutes=1)


def note_use(used: ApiKey | SignIn, *, now: datetime) -> bool:
    """Remember that it was used, at most once a minute; whether a row was written.

    Nothing is sent while the row, as it was read with the request, is fresh: on SQLite even an UPDATE that finds
    nothing takes the lock of the only writer. The condition is for two requests that read it at once.
    """
    if used.last_used_at is not None and used.last_used_at > now - USE_NOTED_EVERY:
        return False
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lte=now - USE_NOTED_EVERY)
    return type(used).objects.filter(stale, pk=used.pk).update(last_used_at=now) == 1
