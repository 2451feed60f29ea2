"""Claims that were committed although the connection broke before this worker could learn of it."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from runs.handback import hand_back
from runs.models import Attempt
from runs.tickets import Ticket
from targets.counted import counted
from worker.pool import NOT_SENT

logger = logging.getLogger(__name__)


def hand_back_lost_claims(*, worker_id: UUID, known: Collection[UUID], since: datetime, now: datetime) -> int:
    """Hand back the Runs that this live worker holds without a ticket: nobody else would ever resolve them.

    Args:
        known: the attempts that the worker has tickets for.
        since: the database's time of the claim that failed; older attempts were claimed by another one.

    Returns:
        How many Runs were handed back. Nothing was sent for them.
    """
    attempts = (
        Attempt.objects.filter(worker_id=worker_id, completed_at__isnull=True, created_at__gte=since)
        .exclude(id__in=known)
        .select_related("run")
    )
    tickets = [
        Ticket(
            run_id=attempt.run_id,
            attempt_id=attempt.id,
            attempt_number=attempt.attempt_number,
            token=attempt.token,
            worker_id=worker_id,
            target_id=attempt.run.target_id,
            schedule_id=attempt.run.schedule_id,
            due_at=attempt.created_at,
            request=NOT_SENT,
        )
        for attempt in attempts
    ]
    if not tickets:
        return 0
    count = hand_back(tickets, now=now)
    logger.warning(
        "%s of a broken connection handed back",
        counted(count, "claim"),
        extra={"action": "lost_claims", "runs": count},
    )
    return count
