"""`manage.py unlock_logins`: let people try again who failed to sign in too often."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, transaction
from django.utils import timezone

from access.audit import Thing, record
from access.lockout import network_of, unlock
from access.models import LoginFailure
from scheduler_project.audit_trail import acting_as_command
from targets.counted import counted

USAGE = 2


class Command(BaseCommand):
    """Forget failed sign-ins, so that their lock-out ends."""

    help = "End the lock-out of an account, of an address, or of all."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """The command's options."""
        parser.add_argument("--username", help="failures of this account, from any address")
        parser.add_argument("--address", help="failures from this address or IPv6 /64 network")
        parser.add_argument("--all", action="store_true", help="every failure")

    def handle(self, *args: Any, **options: Any) -> None:
        """Forget, count, write down."""
        username, address = options["username"], options["address"]
        if sum(map(bool, (username, address, options["all"]))) != 1:
            raise CommandError("Give one of --username, --address and --all.", returncode=USAGE)
        try:
            with acting_as_command("unlock_logins"), transaction.atomic():
                rows = LoginFailure.objects.all()
                rows = rows.filter(username__iexact=username) if username else rows
                rows = rows.filter(address=network_of(address)) if address else rows
                count = counted(unlock(rows), "count")
                thing = Thing("login", name=username or address or "all")
                record("login.unlock", thing, now=timezone.now(), detail=count)
        except Error as error:
            reason = str(error).strip().partition("\n")[0]
            raise CommandError(f"The database can't be used ({reason}). `manage.py doctor` says more.") from error
        self.stdout.write(f"{count} of failed sign-ins forgotten.")
