"""Claim: take Runs whose attempt is due, and open an Attempt row for each, before anything is sent.

The committed open Attempt is the ticket: no target ever sees a request that the database doesn't know.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import transaction

from runs.batch_update import insert_rows, write_or_isolate
from runs.identity import attempt_id
from runs.known_targets import KnownTarget, KnownTargets
from runs.lifecycle import RunChange, apply_changes, claimed, ended
from runs.locked_run import LivingRun, LockedRun, lock_ready_runs, lock_running_runs
from runs.models import Attempt, Run, RunStatus
from runs.outcome import ErrorType, Outcome
from runs.tickets import SeatKeeper, Ticket
from schedules.index_order import index_order
from targets.named_secrets import sources_for
from targets.placeholders import RenderContext, TemplateProblem
from targets.request_draft import Sendable, prepare_request
from targets.request_spec import ShownRequest
from targets.request_template import request_template
from targets.secret_places import SecretSource

logger = logging.getLogger(__name__)

_targets = KnownTargets()


class OpenAttempt(NamedTuple):
    """An Attempt to insert: every column that must not be null; the names are those of columns."""

    id: UUID
    run_id: UUID
    attempt_number: int
    token: int
    worker_id: UUID
    request_url: str
    request_method: str
    request_headers: Mapping[str, str]
    request_body: str | None
    started_at: datetime
    created_at: datetime
    response_headers: Mapping[str, str] = {}
    response_body: str = ""
    response_truncated: bool = False
    error_type: str = ErrorType.NONE.value
    error_message: str = ""
    fenced: bool = False
    timings: Mapping[str, float] = {}


class Claim(NamedTuple):
    """A Run about to be claimed: the step in its life, the Attempt to open, the ticket for the holder."""

    change: RunChange
    attempt: OpenAttempt
    ticket: Ticket


def claim_ready(*, now: datetime, worker_id: UUID, seats: SeatKeeper) -> list[Ticket]:
    """Claim as many due Runs as there are seats; the seats of the returned tickets are taken.

    Runs of deleted targets and schedules are cancelled on the way.
    """
    free = seats.free()
    if free <= 0:
        return []
    taken: list[LockedRun] = []
    won: list[Ticket] = []
    try:
        with transaction.atomic():
            with index_order():
                ready = lock_ready_runs(now, free, seats.full_targets())
            targets = _targets.get({run.target_id: run.target_updated_at for run in ready}, now=now)
            for run in ready:
                if run.is_deleted:
                    _cancel_deleted(run, now=now)
                    continue
                target = targets[run.target_id].target
                if seats.take(run.target_id, target.max_concurrency, target.url):
                    taken.append(run)
            secrets = sources_for(known.target for known in targets.values() if known.plain is None)
            won = _open_attempts(
                [
                    build_claim(run, targets[run.target_id], worker_id=worker_id, now=now, secrets=secrets)
                    for run in taken
                ],
                now=now,
            )
    except BaseException:
        won = []
        raise
    finally:
        kept = {ticket.run_id for ticket in won}
        for run in taken:
            if run.id not in kept:
                seats.give_back(run.target_id)
    return won


def claim_test_run(run: Run, *, worker_id: UUID, now: datetime) -> Ticket:
    """Claim a Run that was inserted in this transaction, and that nobody else can have seen."""
    (locked,) = lock_running_runs([run.id])
    # Nothing kept: the web's threads would share it, and it would hold secrets.
    known = KnownTargets().get({run.target_id: locked.target_updated_at}, now=now)[run.target_id]
    claim = build_claim(locked, known, worker_id=worker_id, now=now, secrets=sources_for([known.target]))
    apply_changes([claim.change], now=now)
    insert_rows(Attempt, OpenAttempt._fields, [claim.attempt])
    return claim.ticket


def build_claim(
    run: LockedRun, known: KnownTarget, *, worker_id: UUID, now: datetime, secrets: Mapping[str, SecretSource]
) -> Claim:
    """Render the request and prepare the rows of the Run's next attempt. `secrets` are those that its target names.

    No secret gets into the rows: the Attempt has the request as it may be shown.
    """
    change = claimed(run, worker_id=worker_id, now=now)
    request, shown = _render(run, known, change.attempt_count, secrets, now=now)
    attempt = OpenAttempt(
        id=attempt_id(run.id),
        run_id=run.id,
        attempt_number=change.attempt_count,
        token=change.token,
        worker_id=worker_id,
        request_url=shown.url,
        request_method=known.target.method,
        request_headers=shown.headers,
        request_body=None if shown.body is None else shown.body.decode(),
        started_at=now,
        created_at=now,
    )
    ticket = Ticket(
        run_id=run.id,
        attempt_id=attempt.id,
        attempt_number=change.attempt_count,
        token=change.token,
        worker_id=worker_id,
        target_id=run.target_id,
        schedule_id=run.schedule_id,
        due_at=run.next_attempt_at or now,
        request=request,
    )
    return Claim(change=change, attempt=attempt, ticket=ticket)


def _render(
    run: LockedRun, known: KnownTarget, attempt_number: int, secrets: Mapping[str, SecretSource], *, now: datetime
) -> tuple[Sendable | Outcome, ShownRequest]:
    target = known.target
    context = RenderContext(
        run_id=run.id,
        created_at=run.created_at,
        scheduled_at=run.scheduled_at,
        attempt_number=attempt_number,
        schedule_id=run.schedule_id,
        schedule_name=run.schedule_name or "",
        target_name=target.name,
        attempted_at=now,
    )
    try:
        if known.plain is not None:
            return known.plain.prepare(context)
        return prepare_request(request_template(target, now=now), context, secrets)
    except TemplateProblem as problem:
        message = str(problem)
    except Exception:
        logger.exception("request can't be built", extra={"action": "render", "run": run.id})
        message = "The request can't be built from the target. Save the target again to see what is wrong."
    # The URL as it was written: nothing has been filled in.
    shown = ShownRequest(url=target.url, headers={}, body=None)
    return Outcome(error_type=ErrorType.TEMPLATE, error_message=message), shown


def _open_attempts(claims: Sequence[Claim], *, now: datetime) -> list[Ticket]:
    won: dict[UUID, Ticket] = {}

    def write(batch: Sequence[Claim]) -> None:
        # 1. Compare-and-swap on the token: where rows can't be locked, this decides who won.
        changed = apply_changes([claim.change for claim in batch], now=now)
        ours = [claim for claim in batch if claim.change.run.id in changed]
        # 2. The open attempts, in the same transaction.
        insert_rows(Attempt, OpenAttempt._fields, [claim.attempt for claim in ours])
        won.update({claim.ticket.run_id: claim.ticket for claim in ours})

    for claim, error in write_or_isolate(claims, write):
        won.pop(claim.ticket.run_id, None)
        _fail_unclaimable(claim.change.run, error, now=now)
    return list(won.values())


def _fail_unclaimable(run: LivingRun, error: Exception, *, now: datetime) -> None:
    """A Run whose attempt the database refuses would come back at every tick: end it, and say so."""
    logger.error("run can't be claimed: %s", type(error).__name__, extra={"action": "claim", "run": run.id})
    message = "The attempt could not be stored. Save the target again to see what is wrong."
    apply_changes([ended(run, RunStatus.CANCELLED, at=now, reason="unclaimable", message=message)], now=now)


def _cancel_deleted(run: LivingRun, *, now: datetime) -> None:
    apply_changes([ended(run, RunStatus.CANCELLED, at=now, reason="deleted")], now=now)
