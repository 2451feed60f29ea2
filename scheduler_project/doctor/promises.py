"""Does the database keep what the guarantees rest on? Tried with rows that are rolled back."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from uuid import UUID

from django.apps import apps
from django.db import DatabaseError, IntegrityError, connection, transaction

from runs.claim import claim_ready
from runs.identity import attempt_id, new_run_id
from runs.models import Attempt, Run, RunStatus, Trigger
from scheduler_project.doctor.database import MIGRATE, one_line
from scheduler_project.doctor.findings import Finding, failure, named, ok
from schedules.clock import database_now
from targets.models import Target
from worker.models import ProcessKind, WorkerProcess
from worker.presence import register, renew

OURS = ("access", "targets", "schedules", "runs", "worker")
# Sorts before everything that waits, so that the one seat is ours.
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
LEASE_SECONDS = 30.0
HELD = (
    "Some process holds a lock for long: a frozen worker, a backup, an open shell? End it; then ask the doctor again."
)


class _OneSeat:
    """A seat keeper for one call."""

    def __init__(self) -> None:
        self._taken = False

    def free(self) -> int:
        return 0 if self._taken else 1

    def full_targets(self) -> Collection[UUID]:
        return ()

    def take(self, target_id: UUID, max_concurrency: int | None, url: str = "") -> bool:
        self._taken = True
        return True

    def give_back(self, target_id: UUID) -> None:
        self._taken = False


class _RolledBackError(Exception):
    """Ends the trial: nothing of it may stay."""


def check_promises() -> Iterator[Finding]:
    """A lease, a claim and what must be refused, with rows of our own; and whether every constraint is there."""
    yield from _tried()
    yield _check_constraints()


def _tried() -> list[Finding]:
    findings: list[Finding] = []
    try:
        with transaction.atomic():
            now = database_now()
            worker_id = uuid.uuid4()
            findings.append(_check_lease(worker_id, now))
            findings += _check_claim(worker_id, now)
            raise _RolledBackError
    except _RolledBackError:
        return findings
    except DatabaseError as error:
        # "database is locked" on SQLite, "canceling statement due to lock timeout" on PostgreSQL.
        remedy = HELD if "lock" in str(error) else "Does DATABASE_URL's user own the tables?"
        return [failure("claim", f"A claim could not be tried: {one_line(error)}", remedy)]


def _check_lease(worker_id: UUID, now: datetime) -> Finding:
    register(worker_id=worker_id, kind=ProcessKind.WEB, seats=1, lease_seconds=LEASE_SECONDS, now=now)
    renewed = renew(worker_id=worker_id, lease_seconds=LEASE_SECONDS, draining=False, now=now)
    if renewed and WorkerProcess.objects.filter(id=worker_id, lease_until__gt=now).exists():
        return ok("lease", "A worker's lease can be taken and renewed.")
    return failure(
        "lease", "A worker's lease could not be renewed.", f"Are there triggers on worker_*? Else: {MIGRATE}"
    )


def _check_claim(worker_id: UUID, now: datetime) -> Iterator[Finding]:
    target = Target.objects.create(
        name="doctor", url="http://doctor.invalid/", timeout_seconds=1, created_at=now, updated_at=now
    )
    run = Run.objects.create(
        id=new_run_id(LONG_AGO),
        target=target,
        trigger=Trigger.TEST,
        status=RunStatus.PENDING,
        scheduled_at=LONG_AGO,
        next_attempt_at=LONG_AGO,
        created_at=LONG_AGO,
    )
    tickets = claim_ready(now=now, worker_id=worker_id, seats=_OneSeat())
    if [ticket.run_id for ticket in tickets] != [run.id]:
        remedy = "Are there triggers or row policies on runs_*? If not, please report it."
        yield failure("claim", "A run that was due could not be claimed.", remedy)
        return
    yield ok("claim", "A run can be claimed (tried and rolled back).")
    attempt = Attempt.objects.get(id=tickets[0].attempt_id)
    doubled = Attempt(**{field.attname: getattr(attempt, field.attname) for field in Attempt._meta.concrete_fields})
    doubled.id, doubled.attempt_number = attempt_id(run.id), 2
    again = {
        "a second run for the same nominal time": lambda: Run.objects.bulk_create([run]),
        "a second open attempt of one run": lambda: Attempt.objects.bulk_create([doubled]),
    }
    accepted = [what for what, insert in again.items() if not _is_refused(insert)]
    if accepted:
        remedy = "Put back the constraint that `constraints` names as missing, before another worker starts."
        yield failure("uniqueness", f"The database accepts {named(accepted)}.", remedy)
    else:
        yield ok("uniqueness", "The database refuses " + " and ".join(again) + ".")


def _is_refused(insert: Callable[[], object]) -> bool:
    try:
        with transaction.atomic():
            insert()
    except IntegrityError:
        return True
    return False


def _check_constraints() -> Finding:
    """Every constraint and index that the models declare, by name."""
    missing = []
    for app in OURS:
        for model in apps.get_app_config(app).get_models():
            with connection.cursor() as cursor:
                present = connection.introspection.get_constraints(cursor, model._meta.db_table)
            declared = [*model._meta.constraints, *model._meta.indexes]
            missing += [f"{model._meta.db_table}: {one.name}" for one in declared if one.name not in present]
    if missing:
        remedy = "They were dropped by hand, or a restore left them out: recreate them as `manage.py sqlmigrate` shows."
        return failure("constraints", f"Constraints or indexes are missing: {named(missing)}.", remedy)
    return ok("constraints", "All constraints and indexes are there.")
