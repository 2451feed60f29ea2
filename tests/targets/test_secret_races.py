"""A secret is deleted or renamed while a target begins to use it: no target is left with a name that leads nowhere.

Two connections on PostgreSQL, each order. SQLite lets one of them in at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from targets.errors import InUse, InvalidFields
from targets.models import Secret, SecretUse, Target
from targets.named_secrets import texts_of
from targets.placeholders import secret_names
from targets.secret_services import create_secret, delete_secret, update_secret
from targets.services import create_target, update_target
from tests.factories import NOW
from tests.guarantees.rivals import OpenTransaction, second_party, wait_for_lock_waits

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres_only]
NAMING: dict[str, dict[str, Any]] = {
    "header": {"headers": {"X-A": "{{secret.CRM}}"}},
    "query": {"url": "https://a.example/?k={{secret.CRM}}"},
    "body": {"body_template": '{"a": "{{secret.CRM}}"}'},
    "auth": {"auth": {"type": "bearer", "token": "{{secret.CRM}}"}},
}
Gone = Callable[[Secret], object]


def _delete(secret: Secret) -> None:
    delete_secret(secret_id=secret.pk)


def _rename(secret: Secret) -> None:
    update_secret(secret_id=secret.pk, changes={"name": "OTHER"}, now=NOW)


def _create(fields: dict[str, Any]) -> Callable[[], object]:
    return lambda: create_target(fields={"name": "A", "url": "https://a.example/", **fields}, now=NOW)


def _update(fields: dict[str, Any]) -> Callable[[], object]:
    target = create_target(fields={"name": "A", "url": "https://a.example/"}, now=NOW)
    return lambda: update_target(target_id=target.pk, changes=fields, now=NOW)


meetings = pytest.mark.parametrize(
    ("place", "begin_to_use", "end"),
    [("header", _create, _delete), ("auth", _update, _delete), ("query", _create, _rename), ("body", _update, _rename)],
)


@meetings
def test_whoever_is_saved_second_finds_the_secret_gone(place: str, begin_to_use: Any, end: Gone) -> None:
    secret = create_secret(fields={"name": "CRM", "value": "canary-4f1c9e77"}, now=NOW)
    use = begin_to_use(NAMING[place])
    rival = OpenTransaction(lambda: end(secret))
    with second_party() as start, rival.begun():
        saving = start(use)
        wait_for_lock_waits()
        rival.commit()
        with pytest.raises(InvalidFields, match="There is no secret named 'CRM'"):
            saving.result()
    assert not SecretUse.objects.exists()
    assert not any(secret_names(texts_of(target)) for target in Target.objects.all())


@meetings
def test_a_secret_that_a_target_has_just_begun_to_use_stays(place: str, begin_to_use: Any, end: Gone) -> None:
    secret = create_secret(fields={"name": "CRM", "value": "canary-4f1c9e77"}, now=NOW)
    rival = OpenTransaction(begin_to_use(NAMING[place]))
    with second_party() as start, rival.begun():
        ending = start(lambda: end(secret))
        wait_for_lock_waits()
        rival.commit()
        with pytest.raises(InUse, match="it is used by A"):
            ending.result()
    assert Secret.objects.get().name == "CRM"
    assert SecretUse.objects.get().secret_id == secret.pk


def test_a_target_that_lets_go_at_that_moment_holds_nothing_up() -> None:
    secret = create_secret(fields={"name": "CRM", "value": "canary-4f1c9e77"}, now=NOW)
    target = create_target(fields={"name": "A", "url": "https://a.example/", **NAMING["header"]}, now=NOW)
    rival = OpenTransaction(lambda: update_target(target_id=target.pk, changes={"headers": {}}, now=NOW))
    with rival.begun(), pytest.raises(InUse):
        _delete(secret)
    _delete(secret)
    assert not Secret.objects.exists()
