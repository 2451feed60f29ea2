"""What the audit trail says about our things: their kinds, their names, and what changed, without secrets.

Interface modules call it in the transaction of the change: views, admin pages and commands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from getpass import getuser
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Group, User
from django.db import models
from django.utils import timezone

from access.audit import Actor, Thing, acting, record
from access.keys import USER_FIELDS as KEY_FIELDS
from access.models import ActorType, ApiKey, SignIn
from runs.models import Run
from schedules.drafts import USER_FIELDS as SCHEDULE_FIELDS
from schedules.models import Schedule
from targets.masking import MASK, is_secret_header
from targets.models import Secret, Target
from targets.secret_services import USER_FIELDS as SECRET_FIELDS
from targets.services import USER_FIELDS as TARGET_FIELDS

LONGEST_VALUE = 300
PERSON_FIELDS = ("username", "email", "first_name", "last_name", "is_active", "is_staff", "is_superuser", "password")


@dataclass(frozen=True, slots=True)
class Kind:
    """What a thing is called, its fields that people write, and those of them whose value nobody may see."""

    name: str
    fields: tuple[str, ...] = ()
    hidden: frozenset[str] = frozenset()
    related: tuple[str, ...] = ()


KINDS: dict[type[models.Model], Kind] = {
    Target: Kind("target", tuple(TARGET_FIELDS), frozenset({"auth", "signing_secret"})),
    Secret: Kind("secret", tuple(SECRET_FIELDS), frozenset({"value"})),
    Schedule: Kind("schedule", tuple(SCHEDULE_FIELDS)),
    Run: Kind("run"),
    ApiKey: Kind("api_key", KEY_FIELDS),
    SignIn: Kind("sign_in"),
    User: Kind("user", PERSON_FIELDS, frozenset({"password"}), ("groups", "user_permissions")),
    Group: Kind("group", ("name",), related=("permissions",)),
}
Values = dict[str, Any]


class Watch:
    """The `check` argument of services: keeps what the row was under the lock, then lets another check speak."""

    def __init__(self, then: Callable[[Any], None] | None = None) -> None:
        self._then = then
        self.thing = Thing()
        self.before: Values = {}

    def __call__(self, row: models.Model) -> None:
        """Called by the service with the locked row."""
        self.thing, self.before = thing_of(row), values_of(row)
        if self._then:
            self._then(row)


def thing_of(row: models.Model) -> Thing:
    """Kind, id and name of a row."""
    name = "" if isinstance(row, Run) else str(getattr(row, "name", row))
    return Thing(_kind_of(row).name, str(row.pk), name)


def values_of(row: models.Model) -> Values:
    """What people wrote of a row, secrets in clear: for comparing, never for showing."""
    kind = _kind_of(row)
    related = {name: sorted(str(item) for item in getattr(row, name).all()) for name in kind.related}
    return {name: getattr(row, name) for name in kind.fields} | related


def note_created(row: models.Model) -> None:
    """A row was made."""
    _note("create", row, changes_between(_kind_of(row), {}, values_of(row)))


def note_updated(row: models.Model, before: Values) -> None:
    """A row was saved; `before` is its `values_of` until now."""
    _note("update", row, changes_between(_kind_of(row), before, values_of(row)))


def note_done(verb: str, row: models.Model, detail: str = "") -> None:
    """Something else was done to a row."""
    _note(verb, row, {}, detail)


def note_gone(thing: Thing) -> None:
    """A thing was deleted."""
    record(f"{thing.type}.delete", thing, now=timezone.now())


def changes_between(kind: Kind, before: Values, after: Values) -> dict[str, list[Any]]:
    """`{field: [before, after]}` of what differs, secrets masked; members of a mapping by `field.member`."""
    old, new = dict(_flat(before)), dict(_flat(after))
    return {
        path: [_shown(kind, path, old.get(path)), _shown(kind, path, new.get(path))]
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    }


def acting_as_command(name: str) -> AbstractContextManager[None]:
    """Within it, a management command acts, started by a user of the operating system."""
    return acting(lambda: Actor(ActorType.COMMAND, name, f"{name} by {_system_user()}"))


def _note(verb: str, row: models.Model, changes: Mapping[str, Any], detail: str = "") -> None:
    thing = thing_of(row)
    record(f"{thing.type}.{verb}", thing, now=timezone.now(), changes=changes, detail=detail)


def _kind_of(row: models.Model) -> Kind:
    return KINDS.get(type(row)) or Kind(str(row._meta.model_name))


def _flat(values: Values) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{member}", inner) for member, inner in value.items())
        else:
            yield name, value


def _shown(kind: Kind, path: str, value: Any) -> Any:
    """A value as JSON; a secret as the mask, so that only setting, changing and removing it can be seen."""
    name, _, member = path.partition(".")
    hidden = name in kind.hidden and member != "type"
    if value is None or value == "":
        return value
    if hidden or (member and is_secret_header(member)):
        return MASK
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        return f"{value[:LONGEST_VALUE]}..."
    return value


def _system_user() -> str:
    try:
        return getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
