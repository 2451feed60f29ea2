"""`manage.py changepassword`: Django's own, put on record."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management.commands.changepassword import Command as DjangosCommand
from django.contrib.auth.models import User
from django.db import transaction

from scheduler_project.audit_trail import acting_as_command, note_done


class Command(DjangosCommand):
    """Gives a user another password."""

    def handle(self, *args: Any, **options: Any) -> Any:
        """Ask, change, write down."""
        name = options["username"]
        with acting_as_command("changepassword"), transaction.atomic():
            said = super().handle(*args, **options)
            user = User.objects.filter(username=name).first()
            if user is not None:
                note_done("change_password", user)
        return said
