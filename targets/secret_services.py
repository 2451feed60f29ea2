"""What can be done to a named secret. Services take `now` on the database's clock and write under the row lock."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from targets.counted import counted
from targets.egress import UrlProblem, normal_host
from targets.errors import InUse, InvalidFields
from targets.masking import MASK
from targets.models import Secret, Target
from targets.secret_places import secret_places
from targets.secret_references import MAX_REFERENCE_CHARS, MAX_VALUE_CHARS, reference_problem
from targets.secrets import Undecryptable

USER_FIELDS = ("name", "value", "reference", "allowed_hosts")
MAX_NAME_CHARS = 64
MAX_HOSTS = 100
MOST_NAMED = 10
# The API finds a secret by its id or its name, so a name can't look like an id.
LIKE_AN_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
Check = Callable[[Secret], None]


@transaction.atomic
def create_secret(*, fields: Mapping[str, Any], now: datetime) -> Secret:
    """Create a secret with a value, or with a reference to one.

    Raises:
        targets.errors.InvalidFields: names every field that can't be accepted.
    """
    values = {"name": None, "value": None, "reference": None, "allowed_hosts": [], **fields}
    if values["value"] == MASK:
        raise InvalidFields({"value": "There is no stored value to keep. Send the real one."})
    values = _checked(values, secret_id=None)
    return Secret.objects.create(**values, created_at=now, updated_at=now)


@transaction.atomic
def update_secret(*, secret_id: UUID, changes: Mapping[str, Any], now: datetime, check: Check | None = None) -> Secret:
    """Change a secret. Attempts that start afterwards use it as it is then.

    A value takes the place of a reference, and the other way round. The stored value can't be let go to further hosts
    by people who don't know it: then it must be sent again.

    Args:
        secret_id: which secret.
        changes: the new values, by field name; a masked value leaves the stored one as it is.
        now: the present moment.
        check: called under the row lock before anything is decided; what it raises goes to the caller.

    Raises:
        Secret.DoesNotExist: there is none.
        targets.errors.InvalidFields: names every field that can't be accepted.
        targets.errors.InUse: targets use it by the name that would change.
    """
    secret = _lock(secret_id)
    if check:
        check(secret)
    sent = {name: value for name, value in changes.items() if (name, value) != ("value", MASK)}
    if "value" in changes and "value" not in sent and secret.value is None:
        raise InvalidFields({"value": "There is no stored value to keep. Send the real one."})
    values = {name: getattr(secret, name) for name in USER_FIELDS} | _other_gone(sent) | sent
    if isinstance(values["value"], Undecryptable) and "value" not in sent:
        raise InvalidFields({"value": f"The stored value can't be decrypted. {Undecryptable.REMEDY}"})
    values = _checked(values, secret_id=secret_id)
    if values["name"] != secret.name:
        _refuse_where_used(secret, "renamed")
    _refuse_further_hosts(secret, values, sent)
    for name, value in values.items():
        setattr(secret, name, value)
    secret.updated_at = now
    secret.save(update_fields=[*values, "updated_at"])
    return secret


@transaction.atomic
def delete_secret(*, secret_id: UUID, check: Check | None = None) -> None:
    """Delete a secret, for good.

    Raises:
        Secret.DoesNotExist: there is none.
        targets.errors.InUse: targets use it.
    """
    secret = _lock(secret_id)
    if check:
        check(secret)
    _refuse_where_used(secret, "deleted")
    secret.delete()


def _lock(secret_id: UUID) -> Secret:
    return Secret.objects.select_for_update(no_key=True).get(pk=secret_id)


def _other_gone(sent: Mapping[str, Any]) -> dict[str, Any]:
    if sent.get("value") is not None and "reference" not in sent:
        return {"reference": None}
    return {"value": None} if sent.get("reference") is not None and "value" not in sent else {}


def _checked(values: Mapping[str, Any], *, secret_id: UUID | None) -> dict[str, Any]:
    """The values as they are stored.

    Raises:
        InvalidFields: names every one that can't be.
    """
    errors: dict[str, str] = {}
    hosts = _hosts(values["allowed_hosts"], errors)
    problems = {
        "name": _name_problem(values["name"], secret_id),
        **_value_problems(values["value"], values["reference"]),
    }
    errors |= {name: sentence for name, sentence in problems.items() if sentence is not None}
    if errors:
        raise InvalidFields(errors)
    return {**values, "allowed_hosts": hosts}


def _name_problem(name: object, secret_id: UUID | None) -> str | None:
    if name is None:
        return "Is required."
    if not isinstance(name, str) or _NAME.fullmatch(name) is None or LIKE_AN_ID.fullmatch(name):
        return f"Must be a letter, then up to {MAX_NAME_CHARS - 1} letters, digits, hyphens and underscores."
    if any(other != secret_id for other in Secret.objects.filter(name__iexact=name).values_list("id", flat=True)):
        return f"There is a secret named {name} already (upper or lower case makes no other name)."
    return None


def _value_problems(value: object, reference: object) -> dict[str, str | None]:
    if value is not None and reference is not None:
        return {"reference": "Send a value or a reference, not both."}
    if value is None and reference is None:
        return {"value": "Send a value, or a reference such as env:NAME or file:PATH."}
    if value is None:
        if not isinstance(reference, str) or len(reference) > MAX_REFERENCE_CHARS:
            return {"reference": f"Must be text of at most {MAX_REFERENCE_CHARS} characters."}
        return {"reference": reference_problem(reference)}
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_VALUE_CHARS:
        return {"value": f"Must be text of 1 to {MAX_VALUE_CHARS} characters."}
    return {}


def _hosts(hosts: object, errors: dict[str, str]) -> list[str]:
    """The hosts in their one spelling, each once."""
    if not isinstance(hosts, list) or len(hosts) > MAX_HOSTS or not all(isinstance(host, str) for host in hosts):
        errors["allowed_hosts"] = f"Must be a list of at most {MAX_HOSTS} host names."
        return []
    found = []
    for host in hosts:
        try:
            found.append(normal_host(f"[{host}]" if ":" in host and not host.startswith("[") else host))
        except UrlProblem as problem:
            errors["allowed_hosts"] = str(problem)
    return sorted(set(found))


def _refuse_further_hosts(secret: Secret, values: Mapping[str, Any], sent: Mapping[str, Any]) -> None:
    """Neither more hosts without the value, nor fewer than its targets call."""
    before, after = set(secret.allowed_hosts), set(values["allowed_hosts"])
    wider = bool(before) and (not after or bool(after - before))
    if wider and not sent.get("value") and not sent.get("reference"):
        field = "value" if secret.reference is None else "reference"
        sentence = "The secret may then be sent to further hosts: send it again together with them."
        raise InvalidFields({field: sentence})
    cut_off = [target.name for target in _targets_of(secret) if after and not _hosts_of(target, secret.name) <= after]
    if cut_off:
        sentence = f"{_listed(cut_off)} would not be called with it any more. Add their hosts, or take it out there."
        raise InvalidFields({"allowed_hosts": sentence})


def _hosts_of(target: Target, name: str) -> set[str | None]:
    places = secret_places(
        url=target.url, headers=target.headers, body_template=target.body_template, auth=target.auth or None
    )
    return {place.host for place in places if place.name == name}


def _refuse_where_used(secret: Secret, verb: str) -> None:
    names = [target.name for target in _targets_of(secret)]
    if names:
        raise InUse(
            f"The secret {secret.name} can't be {verb}: it is used by {_listed(names)}. Take it out there first."
        )


def _targets_of(secret: Secret) -> list[Target]:
    return list(Target.objects.filter(secret_uses__secret=secret).order_by("name", "id"))


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {counted(more, 'more target')}" if more > 0 else "")
