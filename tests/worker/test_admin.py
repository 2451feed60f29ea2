"""Workers in the admin."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from schedules.clock import database_now
from tests.staff import staff, superuser
from worker.models import WorkerProcess

pytestmark = pytest.mark.django_db
LIST = "/admin/worker/workerprocess/"


def make_worker(*, lease: timedelta = timedelta(hours=1), draining: bool = False) -> WorkerProcess:
    now = database_now()
    return WorkerProcess.objects.create(
        hostname="host-1",
        pid=77,
        seats=5,
        draining=draining,
        started_at=now,
        last_seen_at=now,
        lease_until=now + lease,
    )


@pytest.mark.parametrize(
    ("lease", "draining", "state"),
    [(1, False, "live"), (1, True, "draining"), (-1, False, "stale"), (-1, True, "stale")],
)
def test_list_and_page_say_who_is_alive(lease: int, draining: bool, state: str) -> None:
    worker = make_worker(lease=timedelta(hours=lease), draining=draining)
    client = superuser()
    for address in (LIST, f"{LIST}{worker.pk}/change/"):
        page = client.get(address).content.decode()
        assert f'<span class="badge badge-{state}">{state}</span>' in page
        assert "host-1, process 77" in page


def test_many_workers_cost_no_more_queries(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    client = superuser()
    for _ in range(20):
        make_worker()
    with django_assert_max_num_queries(7):
        assert "20 workers" in client.get(LIST).content.decode()


def test_nobody_edits_them() -> None:
    worker = make_worker()
    client = superuser()
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(f"{LIST}{worker.pk}/change/", {"hostname": "x"}).status_code == 403
    assert client.post(f"{LIST}{worker.pk}/delete/", {"post": "yes"}).status_code == 403
    assert staff("runs.view_run").get(LIST).status_code == 403
