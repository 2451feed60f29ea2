"""A worker that sends itself SIGKILL at a named point: `python -m tests.acceptance.crashing_worker POINT [option ...]`.

The hooks are put around production functions from here; production code knows nothing of them.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import django
from django.core.management import call_command


def die(*_: object, **__: object) -> None:
    """End now, as `kill -9` does: nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def after(owner: Any, name: str, *, if_found: bool = False) -> None:
    """Die when the function returns; with `if_found` only if it returned something."""
    original: Callable[..., Any] = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if result or not if_found:
            die()
        return result

    setattr(owner, name, wrapped)


def install(point: str) -> None:
    """Arm the point. Imported here because the modules need a configured Django."""
    import runs.claim
    import runs.enqueue
    import runs.record
    import runs.rescue
    import worker.loop
    import worker.recorder
    from worker.call import Call
    from worker.connections import GuardedConnection
    from worker.executor import Executor
    from worker.heartbeat import Heartbeat

    arm: dict[str, Callable[[], None]] = {
        "before_enqueue_commit": lambda: after(runs.enqueue, "_write"),
        "after_enqueue_commit": lambda: after(worker.loop, "enqueue_due", if_found=True),
        "before_claim_commit": lambda: after(runs.claim, "_open_attempts", if_found=True),
        "after_claim_commit": lambda: after(worker.loop, "claim_ready", if_found=True),
        "before_send": lambda: setattr(Call, "ask_to_send", die),
        "after_send": lambda: setattr(GuardedConnection, "getresponse", die),
        "after_response": lambda: after(Executor, "execute"),
        "before_result_commit": lambda: after(runs.record, "_write"),
        "after_result_commit": lambda: after(worker.recorder, "record_results"),
        "in_drain": lambda: setattr(Heartbeat, "drain", die),
        "before_rescue_commit": lambda: after(runs.rescue, "apply_changes"),
        "after_rescue_commit": lambda: after(worker.loop, "rescue_dead_workers", if_found=True),
    }
    arm[point]()


def main() -> None:
    """Arm the point given first, then be a worker with the remaining options."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scheduler_project.settings")
    django.setup()
    point, *options = sys.argv[1:]
    install(point)
    call_command("runscheduler", *options)


if __name__ == "__main__":
    main()
