"""`manage.py doctor`: is everything in order, and what to do if not?"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from io import StringIO
from typing import Any

from django.core.management.base import BaseCommand, CommandParser, OutputWrapper
from django.db import Error
from django.utils import timezone

from access.audit import record
from scheduler_project.audit_trail import acting_as_command
from scheduler_project.doctor.database import check_migrations, check_reachable, one_line
from scheduler_project.doctor.examination import examine
from scheduler_project.doctor.findings import Finding, Level, failure, worst
from scheduler_project.doctor.reaping import reap
from scheduler_project.env_file import env_path
from scheduler_project.progress import Progress


class Command(BaseCommand):
    """Check settings, database and service."""

    help = (
        "Check settings, database, workers and queue of whatever DATABASE_URL points at, one line per check. "
        "Exit code: 0 without a failure (warnings are none), else 1."
    )
    # Whatever is wrong is to be said by the doctor, in one line.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """The command's options."""
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--reap", action="store_true", help="first resolve the runs that dead workers hold")

    def handle(self, *args: Any, **options: Any) -> None:
        """Findings on standard output as they are found, progress on standard error."""
        findings: list[Finding] = []

        def report(finding: Finding) -> None:
            findings.append(finding)
            if not options["json"]:
                self._say(finding.line())

        if options["reap"]:
            report(self._reap())
        for finding in examine(env_file=env_path(), say=Progress(self.stderr.write).say):
            report(finding)
        level = worst(findings)
        if options["json"]:
            checks = [asdict(finding) for finding in findings]
            self._say(json.dumps({"status": level, "checks": checks}, indent=2))
        if level is Level.FAILURE:
            sys.exit(1)

    def _say(self, text: str) -> None:
        try:
            self.stdout.write(text)
            self.stdout.flush()
        except BrokenPipeError:
            # Whoever read our output has seen enough, as `head` does; the exit code still tells of all checks.
            self.stdout = OutputWrapper(StringIO())
            sys.stdout = None

    def _reap(self) -> Finding:
        try:
            for check in (check_reachable, check_migrations):
                if (found := check()).level is Level.FAILURE:
                    return failure("reap", f"Nothing was resolved: {found.sentence}", found.remedy)
            with acting_as_command("doctor"):
                record("run.reap", now=timezone.now(), detail="resolves the runs of dead workers")
            return reap(say=self.stderr.write, sleep=time.sleep)
        except Error as error:
            return failure("reap", f"It broke off: {one_line(error)}", "Run it again.")
