"""`manage.py createsuperuser`: Django's own, put on record."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management.commands.createsuperuser import Command as DjangosCommand
from django.contrib.auth.models import User
from django.db import transaction

from scheduler_project.audit_trail import acting_as_command, note_created


class Command(DjangosCommand):
    """Makes an administrator."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask, make, write down."""
        known = set(User.objects.filter(is_superuser=True).values_list("pk", flat=True))
        with acting_as_command("createsuperuser"), transaction.atomic():
            super().handle(*args, **options)
            for user in User.objects.filter(is_superuser=True).exclude(pk__in=known):
                note_created(user)
