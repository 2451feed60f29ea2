"""`manage.py rotate_secrets`: bring everything that is stored encrypted under the first key."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error
from django.utils import timezone

from access.audit import record
from scheduler_project.audit_trail import acting_as_command
from scheduler_project.progress import Progress
from targets.counted import counted
from targets.rotation import Rotated, rotate_batches
from targets.secrets import Undecryptable

INTERRUPTED = 130
MOST_NAMED = 10


class Command(BaseCommand):
    """Re-encrypt what an older key of FIELD_ENCRYPTION_KEYS has encrypted."""

    help = "Re-encrypt headers, auth, signing secrets and named secrets with the first of FIELD_ENCRYPTION_KEYS."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """The command's options."""
        parser.add_argument("--dry-run", action="store_true", help="count, write nothing")
        parser.add_argument("--json", action="store_true", help="print the counts as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Rotate to the end; the result on standard output, progress on standard error.

        The exit code is 1 where some values can't be decrypted, and 130 after Ctrl-C.
        """
        total, dry_run, interrupted = Rotated(), options["dry_run"], False
        progress = Progress(self.stderr.write)
        try:
            if not dry_run:
                with acting_as_command("rotate_secrets"):
                    record("secret.rotate", now=timezone.now(), detail="everything that an older key has encrypted")
            for batch in rotate_batches(dry_run=dry_run):
                total.add(batch)
                progress.say(f"{counted(total.rotated, 'value')} re-encrypted, {already(total)}")
        except KeyboardInterrupt:
            interrupted = True
        except Error as error:
            reason = str(error).strip().partition("\n")[0]
            raise CommandError(f"The database can't be used ({reason}). What is done is done: run it again.") from error
        if options["json"]:
            self.stdout.write(json.dumps({"dry_run": dry_run, "interrupted": interrupted, **asdict(total)}))
        else:
            self.stdout.write(sentences(total, dry_run=dry_run, interrupted=interrupted))
        if interrupted or total.unreadable:
            raise SystemExit(INTERRUPTED if interrupted else 1)


def already(total: Rotated) -> str:
    """How many need nothing."""
    return f"{counted(total.current, 'was', 'were')} already"


def sentences(total: Rotated, *, dry_run: bool, interrupted: bool) -> str:
    """What was done and what to do next, for people."""
    verb = "would be re-encrypted" if dry_run else "re-encrypted"
    text = [f"{counted(total.rotated, 'value')} {verb} with the first key, {already(total)}."]
    if total.unreadable:
        shown = ", ".join(total.unreadable[:MOST_NAMED])
        more = len(total.unreadable) - MOST_NAMED
        text.append(
            f"{len(total.unreadable):,} can't be decrypted with any key: {shown}"
            f"{f' and {more:,} more' if more > 0 else ''}. {Undecryptable.REMEDY}"
        )
    if interrupted:
        text.append("Stopped early: run it again, it goes on where it stopped.")
    elif total.changed:
        text.append(f"{counted(total.changed, 'was', 'were')} changed by somebody meanwhile: run it again.")
    elif not dry_run and not total.unreadable and len(settings.FIELD_ENCRYPTION_KEYS) > 1:
        text.append(
            "Once every web and worker process runs with this first key, and this command finds nothing left to do, "
            "the other keys can be taken out of FIELD_ENCRYPTION_KEYS."
        )
    return " ".join(text)
