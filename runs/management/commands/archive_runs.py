"""`manage.py archive_runs`: copy ended runs to a file, and read such a file."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from runs.archive import Archive, ArchiveProblem, ended_before, read_archive, rows_of
from scheduler_project.progress import Progress
from scheduler_project.rfc3339 import parse_moment
from schedules.clock import database_now
from targets.counted import counted

BATCH = 500
USAGE = 2


class Command(BaseCommand):
    """Copy ended runs with their attempts to a gzip file of JSON lines, or print one."""

    help = "Copy ended runs to a gzip file of JSON lines (--to), or print such a file (--read). Removes nothing."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """The command's options."""
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--to", metavar="DIR", type=Path, help="write a new file into this folder")
        what.add_argument("--read", metavar="FILE", type=Path, help="print the runs of a file")
        parser.add_argument(
            "--before", metavar="TIME", help="with --to: runs that ended before this time (default: now)"
        )
        parser.add_argument("--schedule-id", metavar="ID", help="with --read: only the runs of this schedule")
        parser.add_argument("--json", action="store_true", help="print JSON: with --read one object per line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write or read."""
        if options["to"] and options["schedule_id"]:
            raise CommandError("--schedule-id goes with --read.", returncode=USAGE)
        if options["read"] and options["before"]:
            raise CommandError("--before goes with --to.", returncode=USAGE)
        try:
            if options["read"]:
                self._read(options["read"], _as_id(options["schedule_id"]), as_json=options["json"])
            else:
                self._write(options["to"], _as_moment(options["before"]), as_json=options["json"])
        except ArchiveProblem as problem:
            raise CommandError(str(problem)) from problem
        except Error as error:
            reason = str(error).strip().partition("\n")[0]
            raise CommandError(f"The database can't be used ({reason}). `manage.py doctor` says more.") from error
        except BrokenPipeError:
            # Whoever read our output has seen enough, as `head` does; nothing may be written at exit either.
            sys.stdout = None

    def _write(self, directory: Path, before: datetime | None, *, as_json: bool) -> None:
        if not directory.is_dir():
            raise CommandError(f"--to {directory}: there is no such folder; create it.")
        now = database_now()
        progress = Progress(self.stderr.write)
        with Archive(directory, now=now) as archive:
            for ids in ended_before(before or now, batch=BATCH):
                archive.append(rows_of(ids))
                progress.say(f"{counted(archive.runs, 'run')}, {counted(archive.attempts, 'attempt')}")
        path = str(archive.path) if archive.path else None
        if as_json:
            self.stdout.write(json.dumps({"archive": path, "runs": archive.runs, "attempts": archive.attempts}))
        elif path:
            runs, attempts = counted(archive.runs, "run"), counted(archive.attempts, "attempt")
            self.stdout.write(f"{runs} with {attempts} {'is' if archive.runs == 1 else 'are'} in {path}")
        else:
            self.stdout.write("No run has ended before that time; no file was made.")

    def _read(self, path: Path, schedule_id: str | None, *, as_json: bool) -> None:
        for row in read_archive(path):
            if schedule_id in (None, row["schedule_id"]):
                self.stdout.write(json.dumps(row, ensure_ascii=False) if as_json else _line(row))


def _line(row: dict[str, Any]) -> str:
    name = row["schedule_name"] or f"{row['target_name']} (no schedule)"
    why = row["reason"] or (row["final_error_type"] if row["final_error_type"] != "none" else "")
    code = row["final_status_code"] or ""
    facts = " ".join(str(fact) for fact in (row["status"], code, why) if fact)
    return f"{row['scheduled_at']}  {row['id']}  {name}: {facts}, attempts {row['attempt_count']}"


def _as_moment(text: str | None) -> datetime | None:
    try:
        return parse_moment(text) if text else None
    except ValueError as error:
        raise CommandError(f"--before {text!r}: {error}", returncode=USAGE) from error


def _as_id(text: str | None) -> str | None:
    try:
        return str(UUID(text)) if text else None
    except ValueError as error:
        raise CommandError(f"--schedule-id {text!r}: must be the id of a schedule.", returncode=USAGE) from error
