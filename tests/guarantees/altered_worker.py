"""A worker in trouble: `python -m tests.guarantees.altered_worker WHAT [option ...]`.

freeze_before_send   stops itself (SIGSTOP) right before the first byte of its first request; SIGCONT lets it go on.
skewed:SECONDS       has a wall clock that is wrong by so much.

What is altered is put around it from here; production code knows nothing of it.
"""

from __future__ import annotations

import os
import signal
import sys
import time

import django
import psycopg  # noqa: F401 - compiled against the real clock's classes, so before the clock is shifted
from django.core.management import call_command

from tests.chaos.clock_skew import shift_wall_clock


def freeze_before_send() -> None:
    """Stop at the moment at which the right to send is asked for."""
    from worker.call import Call

    ask = Call.ask_to_send
    frozen: list[bool] = []

    def freeze_once(self: Call) -> None:
        if not frozen:
            frozen.append(True)
            os.kill(os.getpid(), signal.SIGSTOP)
            # The signal reaches this thread a moment later.
            time.sleep(0.5)
        ask(self)

    setattr(Call, "ask_to_send", freeze_once)  # noqa: B010 - mypy takes no assignment to a method


def main() -> None:
    """Alter, then be a worker with the remaining options."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scheduler_project.settings")
    what, *options = sys.argv[1:]
    name, _, value = what.partition(":")
    if name == "skewed":
        shift_wall_clock(int(value))
    django.setup()
    if name == "freeze_before_send":
        freeze_before_send()
    call_command("runscheduler", *options)


if __name__ == "__main__":
    main()
