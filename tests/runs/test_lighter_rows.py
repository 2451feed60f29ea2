"""What the tables are spared, and what keeps rows from losing their owner all the same."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection, connections

from runs.maintenance import purge_deleted
from runs.models import Run
from runs.services import open_test_run, replay_run
from targets.models import Target
from tests.factories import NOW, make_ended_run


@pytest.mark.postgres_only
@pytest.mark.django_db
def test_bodies_are_compressed_with_lz4_where_the_server_has_it() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = 'default_toast_compression'")
        known = cursor.fetchone()
        cursor.execute(
            "SELECT attname, attcompression FROM pg_attribute WHERE attrelid = 'runs_attempt'::regclass"
            " AND attname IN ('request_body', 'response_body') ORDER BY 1"
        )
        wanted = "l" if known and known[0] else ""
        assert [(name, kind.strip("\x00")) for name, kind in cursor.fetchall()] == [
            ("request_body", wanted),
            ("response_body", wanted),
        ]


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["replay", "test call"])
def test_a_target_cannot_be_purged_while_a_run_of_it_is_being_inserted(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_ended_run()
    Run.objects.update(trigger="test", schedule=None)
    save = Run.save

    def purge_first(self: Run, **options: object) -> None:
        # What another process does in this very moment; a lock that it can't get in time is a lock.
        other = connections.create_connection("default")
        try:
            with other.cursor() as cursor:
                cursor.execute("SET lock_timeout = '200ms'")
                cursor.execute("DELETE FROM runs_run WHERE id IN (SELECT id FROM runs_run FOR UPDATE SKIP LOCKED)")
                cursor.execute(
                    "DELETE FROM targets_target WHERE id IN (SELECT id FROM targets_target FOR UPDATE SKIP LOCKED)"
                    " AND NOT EXISTS (SELECT 1 FROM runs_run) AND NOT EXISTS (SELECT 1 FROM schedules_schedule)"
                )
        finally:
            other.close()
        save(self, **options)  # type: ignore[arg-type]

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM schedules_schedule")
    monkeypatch.setattr(Run, "save", purge_first)
    if kind == "replay":
        replay_run(run_id=run.id, now=NOW)
    else:
        open_test_run(target_id=run.target_id, worker_id=uuid4(), now=NOW)
    assert Target.objects.filter(id=run.target_id).exists()


@pytest.mark.django_db
def test_a_deleted_target_goes_only_after_its_runs() -> None:
    run = make_ended_run()
    Target.objects.update(deleted_at=NOW)
    while purge_deleted(now=NOW + timedelta(seconds=1)):
        assert Target.with_deleted.exists() or not Run.with_deleted.filter(target_id=run.target_id).exists()
    assert not Target.with_deleted.exists()
