"""What can be done to a target. Each service takes `now` on the database's clock and writes under the row lock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from targets.errors import InvalidFields
from targets.models import HttpMethod, Target
from targets.secrets import keep_masked
from targets.validators import check_target_fields

REQUIRED = ("name", "url")
USER_FIELDS = (
    "name",
    "url",
    "method",
    "headers",
    "body_template",
    "timeout_seconds",
    "connect_timeout_seconds",
    "follow_redirects",
    "verify_tls",
    "expected_status",
    "response_must_contain",
    "max_concurrency",
)
DEFAULT_CONNECT_TIMEOUT_SECONDS = 10.0
Check = Callable[[Target], None]


def create_target(*, fields: Mapping[str, Any], now: datetime) -> Target:
    """Create a target; what `fields` leaves out gets its default.

    Raises:
        targets.errors.InvalidFields: names every field that can't be accepted.
    """
    values = {**_defaults(), **fields}
    missing = {name: "Is required." for name in REQUIRED if values.get(name) is None}
    if missing:
        raise InvalidFields(missing)
    values["headers"] = keep_masked(values["headers"], {})
    check_target_fields(values)
    return Target.objects.create(**values, created_at=now, updated_at=now)


@transaction.atomic
def update_target(*, target_id: UUID, changes: Mapping[str, Any], now: datetime, check: Check | None = None) -> Target:
    """Change a target. Attempts that start afterwards use it as it is then.

    Args:
        target_id: which target.
        changes: the new values, by field name; a masked header value leaves the stored one as it is.
        now: the present moment.
        check: called under the row lock before anything is decided; what it raises goes to the caller.

    Raises:
        Target.DoesNotExist: there is none, or it is deleted.
        targets.errors.InvalidFields: names every field that can't be accepted.
    """
    target = _lock(target_id)
    if check:
        check(target)
    values = dict(changes)
    if "headers" in values:
        values["headers"] = keep_masked(values["headers"], target.headers)
    _refuse_new_problems({name: getattr(target, name) for name in USER_FIELDS}, values)
    for name, value in values.items():
        setattr(target, name, value)
    target.updated_at = now
    target.save(update_fields=[*values, "updated_at"])
    return target


@transaction.atomic
def delete_target(*, target_id: UUID, now: datetime, check: Check | None = None) -> None:
    """Take a target, its schedules and their Runs out of sight at once; the worker purges the rows later.

    Raises:
        Target.DoesNotExist: there is none, or it is deleted.
    """
    target = _lock(target_id)
    if check:
        check(target)
    target.deleted_at = now
    target.save(update_fields=["deleted_at"])


def _lock(target_id: UUID) -> Target:
    # no_key: a plain FOR UPDATE would block inserts of rows that reference the target. SQLite ignores it and lets
    # one IMMEDIATE transaction in at a time instead.
    return Target.objects.select_for_update(no_key=True).get(pk=target_id)


def _refuse_new_problems(current: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Judge a change together with what stays, but leave alone what was wrong before, say by a newer setting."""
    problems = _problems({**current, **changes})
    if problems:
        known = _problems(current)
        problems = {name: text for name, text in problems.items() if name in changes or name not in known}
    if problems:
        raise InvalidFields(problems)


def _problems(values: Mapping[str, Any]) -> dict[str, str]:
    try:
        check_target_fields(values)
    except InvalidFields as error:
        return error.errors
    return {}


def _defaults() -> dict[str, Any]:
    connect = min(DEFAULT_CONNECT_TIMEOUT_SECONDS, settings.MAX_TIMEOUT_SECONDS)
    return {
        "method": HttpMethod.GET.value,
        "headers": {},
        "body_template": None,
        "timeout_seconds": settings.DEFAULT_TIMEOUT_SECONDS,
        "connect_timeout_seconds": connect,
        "follow_redirects": False,
        "verify_tls": True,
        "expected_status": "200-299",
        "response_must_contain": None,
        "max_concurrency": None,
    }
