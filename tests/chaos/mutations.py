"""Mechanisms taken out on purpose, each in the worker processes only: the harness must turn red for every one.

`install` puts the broken version around production functions from outside; production code has no switch for it.
"""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

NONE = "none"


def put(place: str, replacement: Any) -> Any:
    """Put something else at `package.module:name` or `package.module:Class.name`; what was there."""
    module, _, path = place.partition(":")
    owner: Any = import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    original = getattr(owner, name)
    setattr(owner, name, replacement)
    return original


def drop_the_token() -> None:
    """Results are accepted from whoever brings them while the Run is running; claims and rescues raise no token."""

    def holds(run: Any, _ticket: Any) -> bool:
        return run is not None and run.status == "running"

    def claimed_without_token(run: Any, **details: Any) -> Any:
        return dataclasses.replace(claimed(run, **details), token=run.token)

    put("runs.record:holds", holds)
    put("runs.handback:holds", holds)
    put("runs.rescue:fenced_off", lambda change: change)
    claimed = put("runs.claim:claimed", claimed_without_token)


def drop_the_reaper_grace() -> None:
    """A worker declares others dead as soon as the database answers again."""
    put("worker.heartbeat:Heartbeat.may_rescue", lambda self: True)


def advance_in_a_second_transaction() -> None:
    """The Runs are committed first, `next_run_at` and the count after that."""
    waiting: list[Any] = []

    def postponed(model: Any, **arguments: Any) -> None:
        waiting.append((model, arguments))

    def in_two_steps(*args: Any, **kwargs: Any) -> Any:
        waiting.clear()
        looked_at = enqueue_due(*args, **kwargs)
        for model, arguments in waiting:
            update_rows(model, **arguments)
        return looked_at

    update_rows = put("runs.enqueue:update_rows", postponed)
    enqueue_due = put("worker.loop:enqueue_due", in_two_steps)


def advance_before_the_runs() -> None:
    """`next_run_at` is committed first, the Runs after that."""
    waiting: list[Any] = []

    def only_advanced(items: Sequence[Any], *, now: Any) -> None:
        enqueue = import_module("runs.enqueue")
        model, columns = import_module("schedules.models").Schedule, enqueue.ENQUEUE_COLUMNS
        rows = [(item.schedule.id, *item.columns()) for item in items]
        enqueue.update_rows(model, match=("id",), write=columns, rows=rows)
        waiting.extend(items)

    def in_two_steps(*args: Any, **kwargs: Any) -> Any:
        waiting.clear()
        looked_at = enqueue_due(*args, **kwargs)
        if waiting:
            # As long as a slow disk takes between two commits, so that some kills fall into it.
            time.sleep(0.1)
            # The same again writes the Runs and counts those that were skipped.
            write(waiting, now=import_module("schedules.clock").database_now())
        return looked_at

    write = put("runs.enqueue:_write", only_advanced)
    enqueue_due = put("worker.loop:enqueue_due", in_two_steps)


def random_key() -> None:
    """Each attempt is sent with a key of its own."""

    def with_random_key(context: Any) -> dict[str, str]:
        return {**own_headers(context), "Idempotency-Key": str(uuid.uuid4())}

    own_headers = put("targets.request_spec:own_headers", with_random_key)
    put("targets.plain_request:own_headers", with_random_key)


def random_run_id() -> None:
    """The id of a Run no longer derives from its schedule and nominal time."""
    new_run_id = import_module("runs.identity").new_run_id
    put("runs.enqueue:scheduled_run_id", lambda _schedule, nominal: new_run_id(nominal))


def retry_an_at_most_once_orphan() -> None:
    """What must not be sent twice is sent again when its worker died."""
    put("runs.rescue:may_resend", lambda _policy, _method: True)


def overlook_active_runs() -> None:
    """Enqueue takes every schedule for idle."""
    put("runs.querysets:RunQuerySet.active_per_schedule", lambda _self, _schedules: {})


MUTATIONS: dict[str, Callable[[], None]] = {
    mutation.__name__: mutation
    for mutation in (
        drop_the_token,
        drop_the_reaper_grace,
        advance_in_a_second_transaction,
        advance_before_the_runs,
        random_key,
        random_run_id,
        retry_an_at_most_once_orphan,
        overlook_active_runs,
    )
}


def install(name: str) -> None:
    """Break the named mechanism in this process; "none" breaks nothing."""
    if name != NONE:
        MUTATIONS[name]()
