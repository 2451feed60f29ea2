"""How long the pages of A1 take in this process, and how many queries each sends: run as a process of its own.

    DATABASE_URL=... python -m bench.page_times

Prints one line of JSON: for each page the median in milliseconds and the number of queries. The requests go through the
whole of Django, authentication and middleware included, and not through a socket.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import django

if TYPE_CHECKING:
    from django.test import Client

TIMES = 15
UNCOUNTED = 3


def main() -> None:
    """See the top of this file."""
    os.environ["API_THROTTLE"] = "off"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scheduler_project.settings")
    django.setup()
    from django.test import Client

    told = {}
    host = "127.0.0.1"
    api, admin = Client(headers=_key(), SERVER_NAME=host), Client(SERVER_NAME=host)
    admin.force_login(_administrator())
    for name, (client, path) in _pages(api, admin).items():
        told[name] = _ask(client, path)
    print(json.dumps(told))


def _pages(api: Client, admin: Client) -> Mapping[str, tuple[Client, str]]:
    from runs.models import Run

    newest = Run.objects.order_by("-id")[0]
    owner = newest.schedule_id
    return {
        "list": (api, "/api/v1/runs?limit=100"),
        "list of a schedule": (api, f"/api/v1/runs?limit=100&schedule_id={owner}"),
        # As many as there are among a thousand runs: a longer page takes longer, and that is not asked.
        "list of failures": (api, "/api/v1/runs?limit=20&dead=true"),
        "detail": (api, f"/api/v1/runs/{newest.id}"),
        "metrics": (api, "/api/v1/metrics"),
        "prometheus": (api, "/api/v1/metrics/prometheus"),
        "admin list": (admin, "/admin/runs/run/"),
        "admin search": (admin, f"/admin/runs/run/?q={newest.id}"),
        "admin start": (admin, "/admin/"),
        "admin run": (admin, f"/admin/runs/run/{newest.id}/change/"),
    }


def _ask(client: Client, path: str) -> dict[str, float]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    taken = []
    for _ in range(UNCOUNTED + TIMES):
        before = time.perf_counter()
        _expect(client.get(path), path)
        taken.append(time.perf_counter() - before)
    with CaptureQueriesContext(connection) as queries:
        _expect(client.get(path), path)
    return {"ms": 1000 * statistics.median(taken[UNCOUNTED:]), "queries": len(queries)}


def _expect(answer: Any, path: str) -> None:
    if answer.status_code != 200:
        raise AssertionError(f"{path}: {answer.status_code}")


def _key() -> dict[str, str]:
    from access.keys import create_key
    from schedules.clock import database_now

    _, key = create_key(name="bench", scopes=["admin"], expires_at=None, now=database_now())
    return {"Authorization": f"Bearer {key}"}


def _administrator() -> Any:
    from django.contrib.auth import get_user_model

    users: Callable[..., Any] = get_user_model().objects.get_or_create
    return users(username="bench", defaults={"is_staff": True, "is_superuser": True})[0]


if __name__ == "__main__":
    main()
