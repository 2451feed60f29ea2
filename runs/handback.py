"""Hand back: undo claims whose request never left, so that another worker can take them at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from runs.lifecycle import apply_changes, handed_back
from runs.models import Attempt, Run
from runs.record import holds
from runs.tickets import Ticket


def hand_back(tickets: Sequence[Ticket], *, now: datetime) -> int:
    """Return the tickets' Runs to pending or retrying, delete their open attempts, restore the count.

    A ticket that is no longer valid is passed over.

    Returns:
        How many Runs were handed back.
    """
    by_run = {ticket.run_id: ticket for ticket in tickets}
    with transaction.atomic():
        locked = Run.with_deleted.lock_running(list(by_run)).with_owners()
        runs = [run for run in locked if holds(run, by_run[run.id])]
        open_attempts = [by_run[run.id].attempt_id for run in runs]
        Attempt.objects.filter(id__in=open_attempts, completed_at__isnull=True).delete()
        changes = [handed_back(run, due_at=by_run[run.id].due_at) for run in runs]
        return len(apply_changes(changes, now=now))
