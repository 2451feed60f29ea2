"""What a fresh database gets, so that there is something to look at: an administrator, an API key, a demo."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth import get_user_model
from django.db import transaction

from access.keys import create_key
from access.models import ApiKey, Scope
from scheduler_project.audit_trail import Watch, note_created, note_updated
from schedules.services import create_schedule
from targets.errors import InvalidFields
from targets.models import Target
from targets.services import create_target, update_target

ADMIN_NAME = "admin"
DEMO_NAME = "Demo: this service's own health"
DEMO_INTERVAL_SECONDS = 10
DEMO_FIRST_CALL_SECONDS = 2
DEMO_URL = re.compile(r"http://127\.0\.0\.1:[0-9]+/api/v1/health")


@dataclass(frozen=True, slots=True)
class Welcome:
    """What was made just now; empty: it was there already. The password and the key can't be read back later.

    `no_demo`: why the settings don't allow the demo.
    """

    username: str = ""
    password: str = ""
    api_key: str = ""
    no_demo: str = ""


def health_url(port: int) -> str:
    """The service's own health address on `port`."""
    return f"http://127.0.0.1:{port}/api/v1/health"


@transaction.atomic
def prepare(*, port: int, now: datetime, show: Callable[[Welcome], None]) -> None:
    """Make whatever a first start has to make; "first" is judged by what the database holds.

    Args:
        port: where the web will listen.
        now: the present moment on the database's clock.
        show: tells the user; called before the commit, because a password that nobody saw would be lost for good.
    """
    username = password = api_key = no_demo = ""
    users = get_user_model().objects
    if not users.filter(is_superuser=True).exists():
        username, password = _free_username(), secrets.token_urlsafe(12)
        note_created(users.create_superuser(username=username, password=password))
        no_demo = _create_demo(port=port, now=now)
    if not ApiKey.objects.exists():
        key, api_key = create_key(name="make run", scopes=Scope.values, expires_at=None, now=now)
        note_created(key)
    show(Welcome(username=username, password=password, api_key=api_key, no_demo=no_demo))


def follow_port(*, port: int, now: datetime) -> None:
    """Point the demo at the port of this start, unless its user has edited it or closed loopback."""
    for target in Target.objects.filter(name=DEMO_NAME):
        if DEMO_URL.fullmatch(target.url) and target.url != health_url(port):
            watch = Watch()
            with suppress(InvalidFields), transaction.atomic():
                changed = update_target(target_id=target.id, changes={"url": health_url(port)}, now=now, check=watch)
                note_updated(changed, watch.before)


def _free_username() -> str:
    taken = get_user_model().objects.filter(username=ADMIN_NAME).exists()
    return f"{ADMIN_NAME}-{secrets.token_hex(3)}" if taken else ADMIN_NAME


def _create_demo(*, port: int, now: datetime) -> str:
    """The demo's target and schedule; returns why there is none, or nothing."""
    try:
        target = create_target(fields={"name": DEMO_NAME, "url": health_url(port), "timeout_seconds": 5}, now=now)
    except InvalidFields as refusal:
        return str(refusal)
    schedule = create_schedule(
        fields={
            "name": DEMO_NAME,
            "target_id": target.id,
            "schedule_type": "interval",
            "interval_seconds": DEMO_INTERVAL_SECONDS,
            # On the grid of a start a little while ago, the first call comes at once, not after a whole interval.
            "start_at": now - timedelta(seconds=DEMO_INTERVAL_SECONDS - DEMO_FIRST_CALL_SECONDS),
        },
        now=now,
    )
    note_created(target)
    note_created(schedule)
    return ""
