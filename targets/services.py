"""What can be done to a target. Each service takes `now` on the database's clock and writes under the row lock."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from targets.errors import InvalidFields
from targets.kept_secrets import moves, refuse_to_take_along, unmasked
from targets.models import HttpMethod, Secret, SecretUse, Target
from targets.named_secrets import source_of
from targets.secret_places import SecretSource
from targets.secrets import Undecryptable
from targets.signing import OVERLAP
from targets.validators import check_target_fields, places_in

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
    "auth",
    "signing_secret",
)
DEFAULT_CONNECT_TIMEOUT_SECONDS = 10.0
Check = Callable[[Target], None]


@transaction.atomic
def create_target(*, fields: Mapping[str, Any], now: datetime) -> Target:
    """Create a target; what `fields` leaves out gets its default.

    Raises:
        targets.errors.InvalidFields: names every field that can't be accepted.
    """
    values = unmasked({**_defaults(), **fields}, None)
    secrets = _lock_secrets(values)
    missing = {name: "Is required." for name in REQUIRED if values.get(name) is None}
    problems = _problems(values, _sources(secrets)) | missing
    if problems:
        raise InvalidFields(problems)
    target = Target.objects.create(**values, created_at=now, updated_at=now)
    _note_uses(target, secrets)
    return target


@transaction.atomic
def update_target(*, target_id: UUID, changes: Mapping[str, Any], now: datetime, check: Check | None = None) -> Target:
    """Change a target. Attempts that start afterwards use it as it is then.

    A new signing secret leaves the one before it live for `targets.signing.OVERLAP`, unless the target moves.

    Args:
        target_id: which target.
        changes: the new values, by field name; a masked secret leaves the stored one as it is.
        now: the present moment.
        check: called under the row lock before anything is decided; what it raises goes to the caller.

    Raises:
        Target.DoesNotExist: there is none, or it is deleted.
        targets.errors.InvalidFields: names every field that can't be accepted.
    """
    target = _lock(target_id)
    if check:
        check(target)
    values = unmasked(changes, target)
    current = {name: getattr(target, name) for name in USER_FIELDS}
    secrets = _lock_secrets({**current, **values})
    _refuse_new_problems(current, values, _sources(secrets))
    refuse_to_take_along(target, changes, values)
    values |= _rotation(target, values, now=now)
    for name, value in values.items():
        setattr(target, name, value)
    target.updated_at = now
    target.save(update_fields=[*values, "updated_at"])
    _note_uses(target, secrets)
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
    SecretUse.objects.filter(target=target).delete()


def _lock(target_id: UUID) -> Target:
    # no_key: a plain FOR UPDATE would block inserts of rows that reference the target. SQLite ignores it and lets
    # one IMMEDIATE transaction in at a time instead.
    return Target.objects.select_for_update(no_key=True).get(pk=target_id)


def _lock_secrets(values: Mapping[str, Any]) -> list[Secret]:
    """The secrets that the fields name, locked: none can be deleted until this transaction has noted its use."""
    names = {place.name for place in places_in(values)}
    if not names:
        return []
    return list(Secret.objects.select_for_update(no_key=True).filter(name__in=names).order_by("id"))


def _sources(secrets: Iterable[Secret]) -> dict[str, SecretSource]:
    return {secret.name: source_of(secret) for secret in secrets}


def _note_uses(target: Target, secrets: Collection[Secret]) -> None:
    """Write which secrets the target names, so that they can be asked for: most targets name none."""
    wanted = {secret.id for secret in secrets}
    noted = set(SecretUse.objects.filter(target=target).values_list("secret_id", flat=True))
    if noted - wanted:
        SecretUse.objects.filter(target=target, secret_id__in=noted - wanted).delete()
    SecretUse.objects.bulk_create([SecretUse(target=target, secret_id=secret) for secret in sorted(wanted - noted)])


def _rotation(target: Target, values: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    """What becomes of the signing secret before: it goes on signing beside a new one, but never for another origin."""
    stored = target.signing_secret
    gone = {"previous_signing_secret": None, "previous_signing_secret_until": None}
    if moves(target, values):
        return gone
    if "signing_secret" not in values or values["signing_secret"] == stored:
        return {}
    if values["signing_secret"] is None or stored is None or isinstance(stored, Undecryptable):
        return gone
    return {"previous_signing_secret": stored, "previous_signing_secret_until": now + OVERLAP}


def _refuse_new_problems(
    current: Mapping[str, Any], changes: Mapping[str, Any], secrets: Mapping[str, SecretSource]
) -> None:
    """Judge a change together with what stays, but leave alone what was wrong before, say by a newer setting."""
    problems = _problems({**current, **changes}, secrets)
    if problems:
        known = _problems(current, secrets)
        problems = {
            name: text for name, text in problems.items() if name.partition(".")[0] in changes or name not in known
        }
    if problems:
        raise InvalidFields(problems)


def _problems(values: Mapping[str, Any], secrets: Mapping[str, SecretSource]) -> dict[str, str]:
    try:
        check_target_fields(values, secrets)
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
        "auth": None,
        "signing_secret": None,
    }
