"""`manage.py export_audit`: the audit trail as a file, oldest first."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error
from django.db.models import QuerySet

from access.models import AuditEvent
from access.serializers import AuditEventSerializer
from scheduler_project.rfc3339 import parse_moment

FORMATS = ("jsonl", "csv")
BATCH = 500
USAGE = 2
Row = dict[str, Any]


class Command(BaseCommand):
    """Write events to standard output, one per line."""

    help = "Print the audit trail, oldest first: one JSON object per line, or CSV."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """The command's options."""
        parser.add_argument("--from", dest="start", metavar="TIME", help="only events from this RFC 3339 time on")
        parser.add_argument("--to", dest="end", metavar="TIME", help="only events before it")
        parser.add_argument("--format", choices=FORMATS, default="jsonl", help="default: %(default)s")
        parser.add_argument("--json", action="store_true", help="print one JSON array instead")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print them as they are read, so that millions fit."""
        if options["json"] and options["format"] == "csv":
            raise CommandError("--json goes without --format csv: choose one of them.", returncode=USAGE)
        events = _between(_moment("--from", options["start"]), _moment("--to", options["end"]))
        try:
            if options["json"]:
                self._array(events)
            elif options["format"] == "csv":
                self._csv(events)
            else:
                for row in _rows(events):
                    self.stdout.write(json.dumps(row, ensure_ascii=False))
            # A full disk shows here at the latest, not in Python's last breath.
            self.stdout.flush()
        except Error as error:
            reason = str(error).strip().partition("\n")[0]
            raise CommandError(f"The database can't be used ({reason}). `manage.py doctor` says more.") from error
        except BrokenPipeError:
            # Whoever read our output has seen enough, as `head` does; nothing may be written at exit either.
            sys.stdout = None
        except OSError as error:
            sys.stdout = None
            raise CommandError(f"The output can't be written ({error.strerror}): it is not complete.") from error

    def _array(self, events: QuerySet[AuditEvent]) -> None:
        before = "["
        for row in _rows(events):
            self.stdout.write(before + json.dumps(row, ensure_ascii=False), ending="")
            before = ",\n"
        self.stdout.write("]" if before != "[" else "[]")

    def _csv(self, events: QuerySet[AuditEvent]) -> None:
        # All quoted: of its own accord the writer leaves a lone carriage return bare, which ends the row for readers.
        writer = csv.DictWriter(
            self.stdout, AuditEventSerializer.Meta.fields, quoting=csv.QUOTE_ALL, lineterminator="\n"
        )
        writer.writeheader()
        for row in _rows(events):
            writer.writerow({name: _cell(value) for name, value in row.items()})


def _between(start: datetime | None, end: datetime | None) -> QuerySet[AuditEvent]:
    events = AuditEvent.objects.order_by("id")
    events = events if start is None else events.filter(at__gte=start)
    return events if end is None else events.filter(at__lt=end)


def _rows(events: QuerySet[AuditEvent]) -> Iterator[Row]:
    """Batch by batch along the primary key: no cursor stays open, which a pooler would not allow."""
    batch = list(events[:BATCH])
    while batch:
        for event in batch:
            yield dict(AuditEventSerializer(event).data)
        batch = list(events.filter(id__gt=batch[-1].id)[:BATCH])


def _cell(value: Any) -> str:
    """A value for a spreadsheet, in which no text may turn into a formula."""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _moment(option: str, text: str | None) -> datetime | None:
    try:
        return parse_moment(text) if text else None
    except ValueError as error:
        raise CommandError(f"{option} {text!r}: {error}", returncode=USAGE) from error
