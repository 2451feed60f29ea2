"""`manage.py create_api_key`: make a key from the command line."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, InterfaceError, transaction
from django.utils import timezone

from access.keys import DEFAULT_SCOPES, InvalidKeyRequest, create_key
from scheduler_project.audit_trail import acting_as_command, note_created

MAX_DAYS = 36_500


class Command(BaseCommand):
    """Prints the key, alone, on standard output; what is worth knowing about it goes to standard error."""

    help = "Make an API key and print it, once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The command's options."""
        parser.add_argument("--name", required=True, help="what the key is for")
        parser.add_argument(
            "--scopes", default=",".join(DEFAULT_SCOPES), help="of read,write,run,admin (default: %(default)s)"
        )
        parser.add_argument("--cidrs", default="", help="networks it may be used from, such as 10.0.0.0/8,192.0.2.7")
        parser.add_argument("--expires-in-days", type=int, help=f"1 to {MAX_DAYS} (default: never)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it, print it."""
        now, days = timezone.now(), options["expires_in_days"]
        if days is not None and not 1 <= days <= MAX_DAYS:
            raise CommandError(f"--expires-in-days must be from 1 to {MAX_DAYS}.")
        scopes, cidrs = _items(options["scopes"]), _items(options["cidrs"])
        expires_at = None if days is None else now + timedelta(days=days)
        try:
            with acting_as_command("create_api_key"), transaction.atomic():
                key, text = create_key(name=options["name"], scopes=scopes, cidrs=cidrs, expires_at=expires_at, now=now)
                note_created(key)
        except InvalidKeyRequest as error:
            raise CommandError(str(error)) from error
        except (DatabaseError, InterfaceError) as error:
            reason = (str(error).splitlines() or ["no reason given"])[0]
            raise CommandError(f"The database can't be used ({reason}). Is it there, and migrated?") from error
        self.stdout.write(text)
        ends = f"valid until {expires_at:%Y-%m-%d}" if expires_at else "valid until revoked"
        where = f"from {', '.join(key.cidrs)}; " if key.cidrs else ""
        self.stderr.write(f"Scopes {', '.join(key.scopes)}; {where}{ends}. Keep it now: it is not shown again.")


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]
