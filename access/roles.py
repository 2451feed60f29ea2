"""The three groups that people get their rights from: viewer, operator, admin.

`manage.py migrate` makes them and keeps their permissions as they are written here; for other combinations make groups
of your own. The scopes that a user has in the API follow from the same permissions (`access.principals`).
"""

from __future__ import annotations

from enum import StrEnum

from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.models import Q


class Role(StrEnum):
    """A group's name."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


def _all(app: str, model: str, *verbs: str) -> frozenset[str]:
    return frozenset(f"{app}.{verb}_{model}" for verb in verbs)


_WRITTEN = ("add", "change", "delete")
READS = _all("targets", "target", "view") | _all("schedules", "schedule", "view") | _all("runs", "run", "view")
VIEWS = READS | _all("runs", "attempt", "view") | _all("worker", "workerprocess", "view")
WRITES = _all("targets", "target", *_WRITTEN) | _all("schedules", "schedule", *_WRITTEN)
RUNS = _all("runs", "run", "add")
MANAGES_ACCESS = _all("access", "apikey", "view", "add", "change")
ADMINISTERS = (
    MANAGES_ACCESS
    | _all("access", "auditevent", "view")
    | _all("access", "loginfailure", "view", "change")
    | _all("access", "signin", "view", "change")
    | _all("targets", "secret", "view", *_WRITTEN)
    | _all("auth", "user", "view", *_WRITTEN)
    | _all("auth", "group", "view")
)
PERMISSIONS: dict[Role, frozenset[str]] = {
    Role.VIEWER: VIEWS,
    Role.OPERATOR: VIEWS | WRITES | RUNS,
    Role.ADMIN: VIEWS | WRITES | RUNS | ADMINISTERS,
}


TABLES = frozenset(model._meta.db_table for model in (ContentType, Permission, Group, Group.permissions.through))


def sync_roles() -> None:
    """Make the groups what they should be; a permission that doesn't exist (any more) is left out.

    Does nothing while their tables are not all there, as after `migrate runs 0001` on an empty database.
    """
    if not set(connection.introspection.table_names()) >= TABLES:
        return
    wanted = Q()
    for name in PERMISSIONS[Role.ADMIN]:
        app, codename = name.split(".")
        wanted |= Q(content_type__app_label=app, codename=codename)
    existing = Permission.objects.filter(wanted).select_related("content_type")
    found = {f"{row.content_type.app_label}.{row.codename}": row for row in existing}
    for role, names in PERMISSIONS.items():
        group, _ = Group.objects.get_or_create(name=role)
        group.permissions.set([found[name] for name in sorted(names & found.keys())])
