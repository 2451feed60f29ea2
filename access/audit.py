"""The audit trail: who changed what, from where, and who was refused. Events are written once and never changed.

Whoever changes something calls `record` in the same transaction. Who acts is known from the context: a middleware sets
it for requests, `acting` for commands; the services below the interface know nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from access.event_ids import new_event_id
from access.models import ActorType, AuditEvent
from access.request_id import current_request_id

# What strangers can cause is bounded: one event a minute for each kind of refusal, address and thing; and in all:
REFUSALS_PER_MINUTE = 60
MINUTE = timedelta(minutes=1)
# Nothing younger is ever deleted; the triggers of the audit's migration hold the same number.
KEPT_AT_LEAST = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `key`: the shown beginning of the API key, where it is one."""

    type: str
    id: str = ""
    name: str = ""
    key: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Thing:
    """What is acted on."""

    type: str = ""
    id: str = ""
    name: str = ""


NOTHING = Thing()
_nobody = Actor(ActorType.SYSTEM)
_source: ContextVar[Callable[[], Actor]] = ContextVar("audit_actor", default=lambda: _nobody)


@contextmanager
def acting(source: Callable[[], Actor]) -> Iterator[None]:
    """Within it, `source` says who acts; it is asked at each event, because requests sign in late."""
    token = _source.set(source)
    try:
        yield
    finally:
        _source.reset(token)


def record(
    action: str,
    thing: Thing = NOTHING,
    *,
    now: datetime,
    changes: Mapping[str, Any] | None = None,
    detail: str = "",
    actor: Actor | None = None,
    refused: bool = False,
) -> None:
    """Write one event; call it in the transaction of what it tells.

    Args:
        action: `target.update`, say: the kind of thing and the verb.
        thing: what it was done to.
        now: the present moment.
        changes: `{field: [before, after]}`, secrets masked already.
        detail: more, in words.
        actor: who, where the context doesn't know better.
        refused: it was tried and not done.
    """
    who = actor or _source.get()()
    AuditEvent(
        id=new_event_id(now),
        at=now,
        actor_type=who.type,
        actor_id=who.id[:64],
        actor=who.name[:255],
        key=who.key[:16],
        address=who.address[:64],
        action=action[:64],
        object_type=thing.type[:32],
        object_id=thing.id[:64],
        object_name=thing.name[:255],
        changes=dict(changes or {}),
        detail=detail[:500],
        refused=refused,
        request_id=current_request_id(),
    ).save(force_insert=True)


def record_refusal(
    action: str, thing: Thing = NOTHING, *, now: datetime, detail: str = "", actor: Actor | None = None
) -> bool:
    """Write that somebody was refused, unless the like of it was written a moment ago; whether it was written."""
    who = actor or _source.get()()
    recent = AuditEvent.objects.filter(at__gt=now - MINUTE, refused=True)
    alike = {"action": action, "address": who.address[:64], "actor_id": who.id[:64], "object_id": thing.id[:64]}
    if recent.filter(**alike).exists() or recent.count() >= REFUSALS_PER_MINUTE:
        return False
    record(action, thing, now=now, detail=detail, actor=who, refused=True)
    return True


def forget_old(*, now: datetime, keep: timedelta | None, limit: int = 500) -> int:
    """Delete up to `limit` events older than `keep`, and never any younger than `KEPT_AT_LEAST`; how many."""
    if keep is None:
        return 0
    # A plain queryset: the model's own refuses to delete.
    events: QuerySet[AuditEvent] = QuerySet(AuditEvent)
    old = events.filter(at__lt=now - max(keep, KEPT_AT_LEAST)).order_by("at")
    ids = list(old.values_list("pk", flat=True)[:limit])
    return events.filter(pk__in=ids).delete()[0] if ids else 0
