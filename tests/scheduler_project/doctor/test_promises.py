"""What the database must keep, tried with rows that don't stay."""

from __future__ import annotations

import pytest
from django.db import OperationalError, connection
from django.db.models import CheckConstraint, Index, Q

from runs.models import Attempt, Run
from scheduler_project.doctor import promises
from scheduler_project.doctor.findings import Finding, Level
from scheduler_project.doctor.promises import check_promises
from targets.models import Target
from tests.factories import make_run
from tests.worker.workers import failing_database
from worker.models import WorkerProcess

pytestmark = pytest.mark.django_db


def findings() -> dict[str, Finding]:
    return {finding.check: finding for finding in check_promises()}


def test_all_of_them_hold() -> None:
    found = findings()
    assert list(found) == ["lease", "claim", "uniqueness", "constraints"]
    assert {finding.level for finding in found.values()} == {Level.OK}


def test_nothing_stays_and_nothing_that_waits_is_touched() -> None:
    run = make_run()
    findings()
    assert list(Run.with_deleted.values()) == list(Run.with_deleted.filter(id=run.id, status="pending").values())
    assert (Attempt.objects.count(), WorkerProcess.objects.count(), Target.objects.count()) == (0, 0, 1)


def test_a_dropped_index_is_found_by_trial_and_by_name() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX attempt_one_open")
    found = findings()
    assert found["uniqueness"].level is Level.FAILURE
    assert found["uniqueness"].sentence == "The database accepts a second open attempt of one run."
    assert found["constraints"].sentence == "Constraints or indexes are missing: runs_attempt: attempt_one_open."


def test_a_claim_that_nothing_comes_of_is_a_failure() -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("CREATE RULE no_claim AS ON UPDATE TO runs_run DO INSTEAD NOTHING")
        else:
            cursor.execute("CREATE TRIGGER no_claim BEFORE UPDATE ON runs_run BEGIN SELECT RAISE(IGNORE); END")
    assert findings()["claim"].level is Level.FAILURE


def test_a_lease_that_can_not_be_renewed_is_a_failure() -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("CREATE RULE no_beat AS ON UPDATE TO worker_workerprocess DO INSTEAD NOTHING")
        else:
            cursor.execute(
                "CREATE TRIGGER no_beat BEFORE UPDATE ON worker_workerprocess BEGIN SELECT RAISE(IGNORE); END"
            )
    finding = findings()["lease"]
    assert (finding.level, "triggers on worker_*" in finding.remedy) == (Level.FAILURE, True)


def test_a_lease_that_is_not_there_after_all_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promises, "register", lambda **_: None)
    monkeypatch.setattr(promises, "renew", lambda **_: True)
    assert findings()["lease"].level is Level.FAILURE


@pytest.mark.postgres_only
def test_a_dropped_primary_key_is_found_by_trial() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE runs_run DROP CONSTRAINT runs_run_pkey CASCADE")
    finding = findings()["uniqueness"]
    assert finding.sentence == "The database accepts a second run for the same nominal time."


@pytest.mark.parametrize(
    ("kind", "declared"),
    [
        ("constraints", CheckConstraint(name="worker_can_fly", condition=Q(seats__gt=0))),
        ("indexes", Index(fields=["seats"], name="worker_can_fly")),
    ],
)
def test_a_dropped_constraint_or_index_is_found_by_name(
    monkeypatch: pytest.MonkeyPatch, kind: str, declared: object
) -> None:
    monkeypatch.setattr(WorkerProcess._meta, kind, [declared])
    finding = findings()["constraints"]
    assert finding.sentence == "Constraints or indexes are missing: worker_workerprocess: worker_can_fly."


@pytest.mark.parametrize("words", ["database is locked", "canceling statement due to lock timeout"])
def test_a_lock_that_somebody_holds_is_told_from_a_lack_of_rights(words: str) -> None:
    with failing_database(OperationalError(words), when=lambda sql: sql.startswith("INSERT")):
        found = findings()
    assert "frozen worker" in found["claim"].remedy


def test_a_table_that_may_not_be_written_is_one_line() -> None:
    with failing_database(OperationalError("permission denied\nhint"), when=lambda sql: sql.startswith("INSERT")):
        found = findings()
    assert found["claim"].sentence == "A claim could not be tried: permission denied."
    assert "own the tables" in found["claim"].remedy
