"""The admin's frame and its dashboard."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import localtime
from pytest_django import Settings

from runs.metrics import HourOfRuns
from runs.rollups import EndedRun, count_ended
from scheduler_project.admin_site import CHART_HEIGHT, bars
from scheduler_project.templatetags.day_or_date import day_or_date
from schedules.clock import database_now
from tests.factories import NOW, make_ended_run, make_run, make_schedule
from tests.staff import staff, superuser
from worker.models import WorkerProcess

pytestmark = pytest.mark.django_db
DASHBOARD = "/admin/"


@pytest.fixture
def admin_client(db: None) -> Client:
    return superuser()


def html(client: Client, address: str = DASHBOARD) -> str:
    return client.get(address).content.decode()


def count(status: str, times: int, hours_ago: int = 0) -> None:
    ended = [EndedRun(None, status, "none", 10.0, None)] * times
    with transaction.atomic():
        count_ended(ended, [], now=database_now() - timedelta(hours=hours_ago))


def card(page: str, label: str) -> str:
    (found,) = [part for part in re.findall(r'<a class="card.*?</a>', page, re.DOTALL) if label in part]
    return re.sub(r"\s+", " ", found)


def make_worker(hours: int) -> None:
    now = database_now()
    WorkerProcess.objects.create(
        hostname="h", pid=1, seats=1, started_at=now, last_seen_at=now, lease_until=now + timedelta(hours=hours)
    )


def test_an_empty_service_says_how_to_begin(admin_client: Client) -> None:
    page = html(admin_client)
    assert "0 live" in page
    assert "start one: python manage.py runscheduler" in page
    assert "none in the last 24 hours" in page
    assert "Nothing is scheduled." in page
    assert '<span class="card-value">-</span>' in page


@pytest.mark.parametrize("days", [-40, -7, 7, 40])
def test_a_moment_that_is_not_this_week_has_its_date(days: int) -> None:
    assert day_or_date(NOW + timedelta(days=days), NOW) == f"{localtime(NOW + timedelta(days=days)):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize("days", [-5, 0, 5])
def test_a_moment_of_this_week_has_its_day(days: int) -> None:
    assert day_or_date(NOW + timedelta(days=days), NOW) == f"{localtime(NOW + timedelta(days=days)):%a %H:%M:%S}"


def test_what_comes_next_year_does_not_look_like_tomorrow(admin_client: Client) -> None:
    make_schedule(name="New year", next_run_at=database_now() + timedelta(days=300))
    page = html(admin_client)
    assert re.search(r"<td class=\"moment\">\d{4}-\d\d-\d\d \d\d:\d\d</td><td><a[^>]*>New year", page)


def test_it_counts_what_ended_in_the_last_day(admin_client: Client) -> None:
    count("success", 1997)
    count("success", 1, hours_ago=5)
    count("failed", 1, hours_ago=5)
    count("timeout", 1, hours_ago=20)
    count("skipped", 50)
    count("success", 50, hours_ago=30)
    success = card(html(admin_client), "Success")
    assert "99.9 %" in success
    assert "1,998 succeeded, 2 failed" in success
    assert 'class="card warn"' in success
    assert "at most 1,997" in html(admin_client)


def test_a_day_without_failures_is_good(admin_client: Client) -> None:
    count("success", 3)
    assert 'class="card good"' in card(html(admin_client), "Success")


def test_it_shows_the_queue(admin_client: Client) -> None:
    schedule = make_schedule(next_run_at=database_now() + timedelta(days=1))
    make_run(schedule, next_attempt_at=database_now() - timedelta(seconds=60))
    make_run(schedule, status="retrying", next_attempt_at=database_now() + timedelta(days=1))
    waiting = card(html(admin_client), "Waiting")
    assert '<span class="card-value">1</span>' in waiting
    assert re.search(r"longest overdue by 6\d s", waiting)
    assert 'class="card bad"' in waiting
    assert "1 between two tries" in card(html(admin_client), "Running")


@pytest.mark.parametrize(
    ("leases", "tone", "text"),
    [([1, 1], "good", "2 live"), ([1, -1], "warn", "1 no longer seen"), ([-1], "bad", "0 live")],
)
def test_it_shows_the_workers(admin_client: Client, leases: list[int], tone: str, text: str) -> None:
    for hours in leases:
        make_worker(hours)
    workers = card(html(admin_client), "Workers")
    assert f'class="card {tone}"' in workers
    assert text in workers


def test_it_lists_failures_until_they_are_resolved(admin_client: Client) -> None:
    run = make_ended_run(status="failed", final_error_message="No such host.")
    resolved = make_ended_run(status="failed", resolved_at=NOW)
    untold = make_ended_run(status="timeout", final_error_type="timeout")
    page = html(admin_client)
    assert f"/admin/runs/run/{run.pk}/change/" in page
    assert "No such host." in page
    assert f"/admin/runs/run/{untold.pk}/change/" in page
    assert f"/admin/runs/run/{resolved.pk}/change/" not in page


def test_it_lists_what_comes_next_first_things_first(admin_client: Client) -> None:
    make_schedule(name="later", next_run_at=NOW + timedelta(hours=2))
    make_schedule(name="sooner", next_run_at=NOW + timedelta(hours=1), last_error="can't be computed")
    make_schedule(name="sleeping", status="paused", next_run_at=None)
    page = html(admin_client)
    assert page.index("sooner") < page.index("later")
    assert page.count('class="badge badge-held"') == 1
    assert "sleeping" not in page


def test_its_links_lead_to_the_lists_that_they_count(admin_client: Client) -> None:
    schedule = make_schedule()
    make_run(schedule)
    make_ended_run(schedule, status="failed")
    page = html(admin_client)
    for part, statuses in (
        ("status__exact=pending", ["pending"]),
        ("status__exact=running", []),
        ("dead=true", ["failed"]),
    ):
        address = f"/admin/runs/run/?{part}"
        assert f'href="{address}"' in page
        assert [run.status for run in admin_client.get(address).context["cl"].result_list] == statuses
    assert 'href="/admin/schedules/schedule/?status__exact=active"' in page
    assert 'href="/admin/worker/workerprocess/"' in page


def test_it_takes_as_many_queries_for_many_rows_as_for_few(admin_client: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            html(admin_client)
        return len(captured)

    make_ended_run(status="failed")
    few = queries()
    for _ in range(10):
        make_ended_run(status="failed")
        count("success", 1)
    assert queries() == few <= 14


def test_people_see_what_they_may_see_in_lists() -> None:
    make_ended_run(make_schedule(name="Secret plan"), status="failed", final_error_message="Secret trouble")
    client = staff()
    nobody = html(client)
    assert not {"dashboard", "dead_runs", "next_schedules"} & client.get(DASHBOARD).context.keys()
    assert "Secret" not in nobody
    assert "Your account may see neither runs nor schedules." in nobody
    assert "Success" not in nobody


def test_the_viewer_of_runs_sees_runs_and_no_links_that_are_closed() -> None:
    make_ended_run(make_schedule(name="plan"), status="failed", final_error_message="Trouble")
    page = html(staff("runs.view_run"))
    assert "Trouble" in page
    assert "/admin/worker/workerprocess/" not in page
    assert "/admin/schedules/" not in page


def test_the_viewer_of_schedules_sees_schedules() -> None:
    make_ended_run(make_schedule(name="plan"), status="failed", final_error_message="Trouble")
    page = html(staff("schedules.view_schedule"))
    assert "plan" in page
    assert "Trouble" not in page


def test_the_bar_leads_to_the_lists_in_our_order(admin_client: Client) -> None:
    page = html(admin_client, "/admin/runs/run/")
    bar = page[page.index('class="sections"') :]
    names = re.findall(r"<a [^>]*>([^<]+)</a>", bar[: bar.index("</nav>")])
    assert names == [
        "Dashboard", "Targets", "Secrets", "Schedules", "Runs", "Attempts", "Workers", "API keys", "Audit events",
        "Failed sign-ins", "Sign-ins", "Users", "Groups", "API",
    ]  # fmt: skip
    assert re.findall(r'aria-current="page">(\w+)<', bar) == ["Runs"]
    assert re.findall(r'aria-current="page">(\w+)<', html(admin_client)) == ["Dashboard"]


@pytest.mark.parametrize("app", ["targets", "schedules", "runs", "worker", "access", "auth"])
def test_every_app_has_its_page(admin_client: Client, app: str) -> None:
    assert admin_client.get(f"/admin/{app}/").status_code == 200


def test_who_is_not_signed_in_is_asked_to() -> None:
    response = Client().get(DASHBOARD, follow=True)
    page = response.content.decode()
    assert 'name="password"' in page
    assert 'class="sections"' not in page


@pytest.mark.parametrize(("address", "status"), [("/admin/nothing/", 404), ("/nothing", 404)])
def test_unknown_pages_lead_back(admin_client: Client, address: str, status: int) -> None:
    response = admin_client.get(address)
    assert response.status_code == status
    assert 'href="/admin/"' in response.content.decode()


def test_a_refusal_leads_back() -> None:
    response = staff("runs.view_run").get("/admin/schedules/schedule/")
    assert response.status_code == 403
    assert "This is not allowed" in response.content.decode()


PAGES = [
    DASHBOARD,
    "/admin/targets/target/add/",
    "/admin/schedules/schedule/add/",
    "/admin/runs/run/",
    "/admin/login/",
    "/admin/nothing/",
]


@pytest.mark.parametrize("address", PAGES)
def test_no_page_has_inline_scripts_or_styles(admin_client: Client, address: str, settings: Settings) -> None:
    page = html(admin_client, address)
    assert not re.search(r"<script(?![^>]* src=)(?![^>]*application/json)", page)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", page)


@pytest.mark.parametrize(
    ("counts", "shapes"),
    [
        ([(0, 0)], [(0.0, 0.0)]),
        ([(3, 1), (0, 1)], [(75.0, 25.0), (0.0, 25.0)]),
    ],
)
def test_bars_are_scaled_to_the_busiest_hour(counts: list[tuple[int, int]], shapes: list[tuple[float, float]]) -> None:
    chart = bars([HourOfRuns(NOW, success, failed) for success, failed in counts])
    assert [(bar.success_height, bar.failed_height) for bar in chart] == shapes
    for bar in chart:
        assert bar.success_y + bar.success_height == bar.failed_y
        assert bar.failed_y + bar.failed_height == CHART_HEIGHT
    assert [bar.x for bar in chart] == [10 * place for place in range(len(counts))]
