"""Guarantee G4: an edit and an enqueue of one schedule, in both orders, on two connections."""

from __future__ import annotations

import ast
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.db import transaction

from runs.enqueue import enqueue_due
from runs.models import Run
from scheduler_project.env_file import BASE_DIR
from schedules.models import Schedule
from schedules.services import delete_schedule, pause_schedule, update_schedule
from tests.factories import NOW, make_schedule
from tests.guarantees.rivals import OpenTransaction, second_party, wait_for_lock_waits

DUE = NOW + timedelta(minutes=1)
WRITERS = {"runs/enqueue.py", "schedules/services.py"}
WRITES = {"update", "create", "bulk_create", "bulk_update", "get_or_create", "update_or_create", "save"}
EDITS: dict[str, Callable[[UUID], object]] = {
    "later": lambda key: update_schedule(schedule_id=key, changes={"interval_seconds": 3600}, now=DUE),
    "pause": lambda key: pause_schedule(schedule_id=key, now=DUE),
    "delete": lambda key: delete_schedule(schedule_id=key, now=DUE),
}


def next_fire(schedule: Schedule) -> datetime | None:
    """As it is stored now."""
    return Schedule.with_deleted.values_list("next_run_at", flat=True).get(id=schedule.id)


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("edit", EDITS)
def test_g4_an_edit_that_comes_first_is_passed_over_while_it_is_open_and_wins_when_it_commits(edit: str) -> None:
    schedule = make_schedule(next_run_at=DUE)
    with OpenTransaction(lambda: EDITS[edit](schedule.id)).begun():
        assert enqueue_due(DUE, poll_seconds=1) == 0
    written = next_fire(schedule)

    assert enqueue_due(DUE, poll_seconds=1) == 0
    assert not Run.with_deleted.exists()
    assert next_fire(schedule) == written


def edit_while_enqueue_is_open(edit: Callable[[], object]) -> None:
    """The edit is made after the enqueue has written and before it commits."""
    with second_party() as start:
        with transaction.atomic():
            assert enqueue_due(DUE, poll_seconds=1) == 1
            edited = start(edit)
            wait_for_lock_waits()
        edited.result()


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("edit", "status", "fire"),
    [("later", "active", NOW + timedelta(hours=1)), ("pause", "paused", None)],
)
def test_g4_an_edit_that_comes_second_waits_for_the_enqueue_and_then_wins(
    edit: str, status: str, fire: datetime | None
) -> None:
    schedule = make_schedule(next_run_at=DUE)
    edit_while_enqueue_is_open(lambda: EDITS[edit](schedule.id))
    schedule.refresh_from_db()
    assert (schedule.status, schedule.next_run_at, schedule.run_count) == (status, fire, 1)
    assert Run.objects.get().scheduled_at == DUE


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_g4_an_edit_that_comes_second_sets_nothing_back_that_the_enqueue_wrote() -> None:
    schedule = make_schedule(next_run_at=DUE)
    edit_while_enqueue_is_open(
        lambda: update_schedule(schedule_id=schedule.id, changes={"max_runs": 9}, now=DUE),
    )
    schedule.refresh_from_db()
    assert (schedule.max_runs, schedule.next_run_at) == (9, DUE + timedelta(minutes=1))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("edit", EDITS)
def test_g4_an_edit_before_the_enqueue_decides_on_any_database(edit: str) -> None:
    schedule = make_schedule(next_run_at=DUE)
    EDITS[edit](schedule.id)
    assert enqueue_due(DUE, poll_seconds=1) == 0
    assert not Run.with_deleted.exists()


def writes_next_fire(node: ast.AST) -> bool:
    """Whether it sets a row's `next_run_at`: an attribute, an argument of a write, a list of columns to write."""
    if isinstance(node, ast.Attribute):
        return isinstance(node.ctx, ast.Store) and node.attr == "next_run_at"
    if isinstance(node, ast.Assign):
        return "COLUMNS" in ast.unparse(node.targets[0]) and "next_run_at" in _strings(node.value)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES:
        return "next_run_at" in {word.arg for word in node.keywords} | _strings(node)
    return False


def _strings(node: ast.AST) -> set[object]:
    return {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}


def test_g4_only_enqueue_and_the_services_write_the_next_fire() -> None:
    apps = [BASE_DIR / app for app in ("access", "runs", "scheduler_project", "schedules", "targets", "worker")]
    sources = [path for app in apps for path in app.rglob("*.py") if "migrations" not in path.parts]
    trees = {_relative(path): ast.parse(path.read_text("utf-8")) for path in sources}
    found = {name for name, tree in trees.items() if any(map(writes_next_fire, ast.walk(tree)))}
    assert found == WRITERS


def _relative(path: Path) -> str:
    return path.relative_to(BASE_DIR).as_posix()
