"""`manage.py prune_runs`: what workers do for retention, at once and to the end."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error
from django.utils import timezone

from access.audit import record
from runs.archive import Archive, ArchiveProblem, rows_of
from runs.prune import Sweep, Upkeep, old_bodies
from runs.retention import RetentionPolicy
from runs.retention_settings import retention_policy
from scheduler_project.audit_trail import acting_as_command
from scheduler_project.progress import Progress
from schedules.clock import database_now
from targets.counted import counted

INTERRUPTED = 130


@dataclass
class Totals:
    """What was removed, or would be. `kept`: old Runs that stay because they are among their schedule's newest."""

    dry_run: bool
    runs: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    bodies: int = 0
    kept: int = 0
    archive: str | None = None
    interrupted: bool = False

    def sentence(self) -> str:
        """For people."""
        verb = "would be " if self.dry_run else ""
        each = ", ".join(f"{count:,} {status}" for status, count in sorted(self.runs.items()) if count)
        runs, attempts = counted(self.runs.total(), "run"), counted(self.attempts, "attempt")
        bodies = f"the bodies of {counted(self.bodies, 'attempt')}"
        kept = f"{counted(self.kept, 'old run stays', 'old runs stay')} as the newest of their schedule"
        archive = f" Archive: {self.archive}" if self.archive else ""
        early = "Stopped early. " if self.interrupted else ""
        gone = f"{runs}{f' ({each})' if each else ''} and {attempts} {verb}removed"
        return f"{early}{gone}, {bodies} {verb}cleared; {kept}.{archive}"


class Command(BaseCommand):
    """Remove what is older than RETENTION_* says."""

    help = "Remove runs and bodies that are older than their retention (workers do it too, bit by bit)."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """The command's options."""
        parser.add_argument("--dry-run", action="store_true", help="count, remove nothing")
        parser.add_argument("--json", action="store_true", help="print the counts as one JSON object")
        parser.add_argument("--archive", metavar="DIR", type=Path, help="write the runs to a file there before")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prune to the end; counts on standard output, progress on standard error."""
        totals = Totals(dry_run=options["dry_run"])
        directory: Path | None = options["archive"]
        if directory is not None and not directory.is_dir():
            raise CommandError(f"--archive {directory}: there is no such folder; create it.")
        progress = Progress(self.stderr.write)
        with _one_line_errors(), acting_as_command("prune_runs"):
            if not totals.dry_run:
                record("run.prune", now=timezone.now(), detail="everything that RETENTION_* says is old")
            try:
                self._prune(totals, progress, directory)
            except KeyboardInterrupt:
                totals.interrupted = True
        self.stdout.write(json.dumps(vars(totals)) if options["json"] else totals.sentence())
        if totals.interrupted:
            raise SystemExit(INTERRUPTED)

    def _prune(self, totals: Totals, progress: Progress, directory: Path | None) -> None:
        policy, now = retention_policy(), database_now()
        archive = Archive(directory, now=now) if directory and not totals.dry_run else None
        if archive is None:
            _remove(Sweep(policy, now=now, dry_run=totals.dry_run), totals, progress)
        else:
            with archive:
                sweep = Sweep(policy, now=now, archive=lambda ids: archive.append(rows_of(ids)))
                try:
                    _remove(sweep, totals, progress)
                finally:
                    totals.archive = str(archive.path) if archive.path else None
        _clear(policy, totals, progress)


def _remove(sweep: Sweep, totals: Totals, progress: Progress) -> None:
    while True:
        started = time.monotonic()
        step = sweep.step()
        if step is None:
            return
        totals.runs[step.status] += step.runs
        totals.attempts += step.attempts
        totals.kept += step.kept
        progress.say(
            f"{counted(totals.runs.total(), 'run')}, {counted(totals.attempts, 'attempt')}; {totals.kept:,} kept"
        )
        if step.runs and not totals.dry_run:
            _let_others_in(started)


def _clear(policy: RetentionPolicy, totals: Totals, progress: Progress) -> None:
    now = database_now()
    if totals.dry_run:
        totals.bodies = old_bodies(policy, now=now).count()
        return
    upkeep = Upkeep(policy)
    while True:
        started = time.monotonic()
        cleared = upkeep.clear(now=now)
        if not cleared:
            return
        totals.bodies += cleared
        progress.say(f"bodies of {counted(totals.bodies, 'attempt')} cleared")
        _let_others_in(started)


def _let_others_in(started: float) -> None:
    """As long as the batch took: on SQLite, a worker that waits for the write lock gets its turn."""
    time.sleep(time.monotonic() - started)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except ArchiveProblem as problem:
        raise CommandError(f"{problem} Nothing was removed that is not in it.") from problem
    except Error as error:
        reason = str(error).strip().partition("\n")[0]
        raise CommandError(f"The database can't be used ({reason}). `manage.py doctor` says more.") from error
