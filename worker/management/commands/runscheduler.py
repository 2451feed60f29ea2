"""`manage.py runscheduler`: the worker."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, connection

from access.audit import forget_old as forget_old_events
from access.idempotency import forget_old
from access.keys import forget_schedule
from access.lockout import forget_old as forget_old_failures
from access.tokens import forget_old as forget_old_sign_ins
from runs.maintenance import purge_deleted
from runs.prune import Upkeep
from runs.retention_settings import retention_policy
from runs.rollups import fold_old_minutes
from scheduler_project.doctor.database import check_migrations
from scheduler_project.doctor.findings import Level
from scheduler_project.sqlite_file import is_missing_file
from targets.egress_settings import egress_policy
from worker.chores import Chore
from worker.config import RunMode, worker_config
from worker.executor import Executor
from worker.loop import Worker
from worker.supervisor import Supervisor, watch_parent

MOST_SEATS = 2000
MOST_PROCESSES = 128
USAGE = 2
# Small enough that no tick waits long for a batch.
PURGE_BATCH = 100


def chores() -> list[Chore]:
    """What workers do besides making calls."""
    upkeep = Upkeep(retention_policy())
    return [
        Chore("purge_deleted", partial(purge_deleted, limit=PURGE_BATCH, forget=forget_schedule)),
        Chore("prune_runs", upkeep.prune),
        Chore("clear_bodies", upkeep.clear),
        Chore("fold_old_minutes", fold_old_minutes),
        Chore("forget_old_answers", forget_old),
        Chore("forget_old_audit_events", partial(forget_old_events, keep=settings.RETENTION_AUDIT_DAYS)),
        Chore("forget_old_sign_ins", forget_old_sign_ins),
        Chore("forget_old_login_failures", forget_old_failures),
        Chore("forget_old_sessions", forget_old_sessions),
    ]


def forget_old_sessions(*, now: datetime, limit: int = 500) -> int:
    """Delete up to `limit` sign-ins that have expired; how many."""
    expired = Session.objects.filter(expire_date__lt=now).order_by("expire_date")
    keys = list(expired.values_list("pk", flat=True)[:limit])
    return Session.objects.filter(pk__in=keys).delete()[0] if keys else 0


class Command(BaseCommand):
    """Run one worker process, or several under a parent."""

    help = "Enqueue due schedules, make their calls and record the results, until a signal comes."
    # The web's checks (URLs, templates, admin) would cost every worker a second of start-up.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """All of it optional; values are checked in `handle`, for errors in one line."""
        parser.add_argument("--processes", metavar="N", help="worker processes, each with its own seats (default: 1)")
        parser.add_argument(
            "--concurrency", metavar="N", help="seats per process: calls at once (default: MAX_CONCURRENT_JOBS)"
        )
        parser.add_argument("--once", action="store_true", help="one tick and the calls that it starts, then end")
        parser.add_argument(
            "--drain", action="store_true", help="go on until nothing is due, ready or in flight, then end"
        )
        parser.add_argument(
            "--metrics-port", metavar="P", help="serve this process's metrics on 127.0.0.1:P (P+i for the i-th process)"
        )
        parser.add_argument("--parent-pid", type=int, help=argparse.SUPPRESS)

    def handle(self, *args: Any, **options: Any) -> None:
        """Check the options, then become the worker or the parent of several."""
        if options["once"] and options["drain"]:
            raise CommandError("Give --once or --drain, not both.", returncode=USAGE)
        processes = _whole_number("--processes", options["processes"], high=MOST_PROCESSES)
        seats = _whole_number("--concurrency", options["concurrency"], high=MOST_SEATS)
        port = _whole_number("--metrics-port", options["metrics_port"], high=65536 - (processes or 1))
        _refuse_other_tables()
        mode = RunMode.ONCE if options["once"] else RunMode.DRAIN if options["drain"] else RunMode.FOREVER
        if processes is None:
            code = _work(seats=seats, mode=mode, port=port, parent_pid=options["parent_pid"])
        else:
            # The parent of several holds no connection.
            connection.close()
            commands = [_child_command(number, seats=seats, mode=mode, port=port) for number in range(processes)]
            code = Supervisor(commands, restart=mode is RunMode.FOREVER).run()
        if code:
            sys.exit(code)


def _whole_number(option: str, value: object, *, high: int) -> int | None:
    if value is None:
        return None
    text = str(value)
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= high:
        raise CommandError(f"{option} must be a whole number from 1 to {high}, not {text!r}.", returncode=USAGE)
    return int(text)


def _child_command(number: int, *, seats: int | None, mode: RunMode, port: int | None) -> list[str]:
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "runscheduler", f"--parent-pid={os.getpid()}"]
    if seats is not None:
        command.append(f"--concurrency={seats}")
    if mode is not RunMode.FOREVER:
        command.append(f"--{mode}")
    if port is not None:
        command.append(f"--metrics-port={port + number}")
    return command


def _work(*, seats: int | None, mode: RunMode, port: int | None, parent_pid: int | None) -> int:
    config = worker_config(seats=seats, mode=mode)
    executor = Executor(egress_policy(), config.seats)
    worker = Worker(config, executor=executor, chores=chores())
    worker.stop.install()
    if parent_pid is not None:
        watch_parent(parent_pid, worker.stop.request)
    if port is not None:
        try:
            worker.metrics.serve(port)
        except OSError as error:
            raise CommandError(f"--metrics-port {port} can't be used: {error.strerror}. Choose another.") from error
    # What start-up has made stays to the end: the collector need not go through it again and again.
    gc.freeze()
    code = worker.run()
    executor.close()
    if worker.pool.in_flight():
        # Threads that still wait for an answer must not hold the exit up.
        sys.stderr.flush()
        os._exit(code)
    return code


def _refuse_other_tables() -> None:
    """Tables that are not yet those of this code are a forgotten step; a database that is away is waited for."""
    try:
        found = check_migrations()
    except Error as error:
        if is_missing_file(error):
            raise CommandError(f"The database can't be used: {error}.") from error
        return
    if found.level is Level.FAILURE:
        raise CommandError(f"{found.sentence} {found.remedy}")
