"""Celery with Redis, prefork: one task per call, recorded with the Django ORM in the project's own tables.

As a careful team would run it: JSON messages, no results, no gossip, connections to the database and to the targets
kept open in each process, no health check of connections before each task. The run and its attempt are committed before
the call, in one transaction, and the result after it, in another: without the first a crash would leave no trace of a
call that was made.

    python -m bench.peers.celery_peer send NOMINAL            # a task for each due schedule, at once
    python -m bench.peers.celery_peer pace NOMINAL COUNT RATE # COUNT tasks, each sent at its exact moment
    celery -A bench.peers.celery_peer worker -P prefork -c 2
"""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import django
import requests

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scheduler_project.settings")
django.setup()

from celery import Celery
from django.conf import settings
from django.db import connection, transaction

from bench.peers.due_calls import DUE, Call, closed, opened
from runs.models import Attempt, Run

settings.DATABASES["default"]["CONN_MAX_AGE"] = None
settings.DATABASES["default"]["CONN_HEALTH_CHECKS"] = False

app = Celery("bench", broker=os.environ["BENCH_BROKER"])
app.conf.update(
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    broker_connection_retry_on_startup=True,
    worker_send_task_events=False,
)
_session: requests.Session | None = None


@app.task(name="call", ignore_result=True)
def make_call(schedule_id: str, target_id: str, url: str, scheduled_at: float) -> None:
    """Record, call, record."""
    global _session  # noqa: PLW0603 - one per process, made after the fork
    _session = _session or requests.Session()
    call = Call(UUID(schedule_id), UUID(target_id), url, datetime.fromtimestamp(scheduled_at, UTC))
    started = datetime.now(UTC)
    run_columns, attempt_columns = opened(call, started)
    run, attempt = Run(**run_columns), Attempt(**attempt_columns)
    with transaction.atomic():
        run.save(force_insert=True)
        attempt.save(force_insert=True)
    answer = _session.get(url, headers=call.headers(), timeout=30, allow_redirects=False)
    run_changes, attempt_changes = closed(
        started,
        datetime.now(UTC),
        status_code=answer.status_code,
        headers=dict(answer.headers),
        body=answer.text,
    )
    with transaction.atomic():
        Attempt.objects.filter(pk=attempt.pk).update(**attempt_changes)
        Run.with_deleted.filter(pk=run.pk).update(**run_changes)


def _due() -> list[tuple[str, str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(DUE)
        return [(str(schedule), str(target), url) for schedule, target, url in cursor.fetchall()]


def send(nominal: float) -> None:
    """Queue a task for each due schedule."""
    with app.connection_for_write() as broker, app.amqp.Producer(broker) as producer:
        for schedule, target, url in _due():
            make_call.apply_async((schedule, target, url, nominal), producer=producer)


def pace(nominal: float, count: int, rate: float) -> None:
    """Queue tasks one by one, each at the exact moment when it is due."""
    due = _due()
    with app.connection_for_write() as broker, app.amqp.Producer(broker) as producer:
        for number in range(count):
            schedule, target, url = due[number % len(due)]
            at = nominal + number / rate
            moment = datetime.fromtimestamp(nominal, UTC) + timedelta(seconds=number / rate)
            time.sleep(max(0.0, at - time.time()))
            make_call.apply_async((schedule, target, url, moment.timestamp()), producer=producer)


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(float(sys.argv[2]))
    else:
        pace(float(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
