"""Mechanisms taken out on purpose, each in the worker processes only: the harness must turn red for every one.

`install` puts the broken version around production functions from outside; production code has no switch for it.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Sequence
from typing import Any

NONE = "none"


def drop_the_token() -> None:
    """Results are accepted from whoever brings them while the Run is running; claims and rescues raise no token."""
    import runs.claim
    import runs.handback
    import runs.record
    import runs.rescue

    def holds(run: Any, _ticket: Any) -> bool:
        return run is not None and run.status == "running"

    runs.record.holds = holds
    runs.handback.holds = holds
    runs.rescue.fenced_off = lambda change: change
    claimed = runs.claim.claimed

    def claimed_without_token(run: Any, **details: Any) -> Any:
        return dataclasses.replace(claimed(run, **details), token=run.token)

    runs.claim.claimed = claimed_without_token


def drop_the_reaper_grace() -> None:
    """A worker declares others dead as soon as the database answers again."""
    from worker.heartbeat import Heartbeat

    Heartbeat.may_rescue = lambda self: True  # type: ignore[method-assign]


def advance_in_a_second_transaction() -> None:
    """The Runs are committed first, `next_run_at` and the count after that."""
    import runs.enqueue
    import worker.loop

    waiting: list[Any] = []
    update_rows, enqueue_due = runs.enqueue.update_rows, worker.loop.enqueue_due

    def postponed(model: Any, **arguments: Any) -> Any:
        waiting.append((model, arguments))

    def in_two_steps(*args: Any, **kwargs: Any) -> int:
        waiting.clear()
        looked_at = enqueue_due(*args, **kwargs)
        for model, arguments in waiting:
            update_rows(model, **arguments)
        return looked_at

    runs.enqueue.update_rows = postponed
    worker.loop.enqueue_due = in_two_steps


def advance_before_the_runs() -> None:
    """`next_run_at` is committed first, the Runs after that."""
    import runs.enqueue
    import worker.loop

    waiting: list[Callable[[], object]] = []
    write, enqueue_due = runs.enqueue._write, worker.loop.enqueue_due

    def only_advanced(items: Sequence[Any], *, now: Any) -> None:
        write([dataclasses.replace(item, runs=[]) for item in items], now=now)
        created = [run for item in items for run in item.runs]
        waiting.append(lambda: runs.enqueue.Run.with_deleted.bulk_create(created))

    def in_two_steps(*args: Any, **kwargs: Any) -> int:
        waiting.clear()
        looked_at = enqueue_due(*args, **kwargs)
        for insert in waiting:
            insert()
        return looked_at

    runs.enqueue._write = only_advanced
    worker.loop.enqueue_due = in_two_steps


def random_key() -> None:
    """Each attempt is sent with a key of its own."""
    import runs.claim

    render = runs.claim.render_request

    def with_random_key(template: Any, context: Any) -> Any:
        spec = render(template, context)
        return dataclasses.replace(spec, headers={**spec.headers, "Idempotency-Key": str(uuid.uuid4())})

    runs.claim.render_request = with_random_key


def random_run_id() -> None:
    """The id of a Run no longer derives from its schedule and nominal time."""
    import runs.enqueue
    from runs.identity import new_run_id

    runs.enqueue.scheduled_run_id = lambda _schedule, nominal: new_run_id(nominal)


def retry_an_at_most_once_orphan() -> None:
    """What must not be sent twice is sent again when its worker died."""
    import runs.rescue

    runs.rescue.may_resend = lambda _policy, _method: True


def send_past_the_lease() -> None:
    """A worker trusts its lease for ever: what it claimed before it froze leaves when it thaws."""
    from worker.heartbeat import Heartbeat

    Heartbeat.trusted = lambda self: True  # type: ignore[method-assign]


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
        send_past_the_lease,
    )
}


def install(name: str) -> None:
    """Break the named mechanism in this process; "none" breaks nothing."""
    if name != NONE:
        MUTATIONS[name]()
