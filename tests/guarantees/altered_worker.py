"""A worker in trouble: `python -m tests.guarantees.altered_worker WHAT [option ...]`.

freeze_before_send   stops itself (SIGSTOP) right before the first byte of its first request; after SIGCONT it goes on,
                     once its heartbeat knows that it was given up, and has registered under a new id.
skewed:SECONDS       has a wall clock that is wrong by so much.

What is altered is put around it from here; production code knows nothing of it.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

import django
import psycopg  # noqa: F401 - compiled against the real clock's classes, so before the clock is shifted
from django.core.management import call_command

from tests.chaos.clock_skew import shift_wall_clock

PATIENCE_SECONDS = 60


def freeze_before_send() -> None:
    """Stop at the moment at which the right to send is asked for."""
    from worker.call import Call

    ask = Call.ask_to_send
    frozen: list[bool] = []
    given_up = threading.Event()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if getattr(record, "action", "") == "worker_reregistered":
                given_up.set()

    logging.getLogger("worker.heartbeat").addHandler(Listener())

    def freeze_once(self: Call) -> None:
        if not frozen:
            frozen.append(True)
            os.kill(os.getpid(), signal.SIGSTOP)
            # The signal reaches this thread a moment later; awake again, it is the last to hear what has happened.
            given_up.wait(PATIENCE_SECONDS)
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
