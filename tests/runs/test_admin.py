"""Runs and attempts in the admin."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from runs.models import Attempt, Run
from scheduler_project.admin_attempts import indented
from tests.factories import NOW, make_attempt, make_ended_run, make_run, make_schedule, make_target
from tests.staff import staff, superuser

pytestmark = pytest.mark.django_db
RUNS, ATTEMPTS = "/admin/runs/run/", "/admin/runs/attempt/"
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture
def admin_client(db: None) -> Client:
    return superuser()


def page_of(row: Run | Attempt) -> str:
    return f"/admin/runs/{type(row).__name__.lower()}/{row.pk}/change/"


def html(client: Client, address: str, **query: str) -> str:
    response = client.get(address, query)
    assert response.status_code == 200, (response.status_code, response.headers)
    return response.content.decode()


def found(client: Client, address: str = RUNS, **query: object) -> list[Any]:
    return list(client.get(address, {name: str(value) for name, value in query.items()}).context["cl"].result_list)


def one_of_each_status() -> dict[str, Run]:
    schedule = make_schedule()
    held = {"worker_id": uuid4(), "next_attempt_at": None, "started_at": NOW}
    ended = {"completed_at": NOW}
    return {
        "pending": make_run(schedule),
        "retrying": make_run(schedule, status="retrying", attempt_count=1),
        "running": make_run(schedule, status="running", **held),
        "success": make_ended_run(schedule, final_status_code=204),
        "failed": make_ended_run(
            schedule, status="failed", final_error_type="dns", final_error_message="No such host."
        ),
        "timeout": make_ended_run(schedule, status="timeout", final_error_type="timeout"),
        "skipped": make_run(schedule, status="skipped", reason="misfire", missed_ticks=7, **ended),
        "cancelled": make_run(schedule, status="cancelled", reason="cancelled", **ended),
    }


def test_list_and_page_show_every_status(admin_client: Client) -> None:
    runs = one_of_each_status()
    page = html(admin_client, RUNS)
    for status, run in runs.items():
        shown = f'<span class="badge badge-{status}">{status}</span>'
        assert shown in page
        assert shown in html(admin_client, page_of(run))
    assert "misfire (7 times)" in page
    assert "It ran at" in html(admin_client, page_of(runs["failed"]))
    assert "No such host." in html(admin_client, page_of(runs["failed"]))


@pytest.mark.parametrize(
    ("status", "buttons"),
    [
        ("pending", {"cancel"}),
        ("retrying", {"cancel"}),
        ("running", set()),
        ("success", {"replay"}),
        ("failed", {"replay", "resolve"}),
        ("timeout", {"replay", "resolve"}),
        ("skipped", {"replay"}),
        ("cancelled", {"replay"}),
    ],
)
def test_only_buttons_that_make_sense_are_there(admin_client: Client, status: str, buttons: set[str]) -> None:
    run = one_of_each_status()[status]
    context = admin_client.get(page_of(run)).context
    assert {button["verb"] for button in context["object_actions"]} == buttons
    assert set(re.findall(rf"/admin/runs/run/{run.pk}/act/(\w+)/", html(admin_client, page_of(run)))) == buttons


def test_replay_makes_a_run_that_links_to_the_original(admin_client: Client) -> None:
    run = make_ended_run()
    response = admin_client.post(f"{RUNS}{run.pk}/act/replay/", follow=True)
    assert "Runs created: 1. A worker makes the calls now." in response.content.decode()
    replay = Run.objects.get(replay_of=run.pk)
    assert page_of(run) in html(admin_client, page_of(replay))


def test_the_replay_of_a_purged_run_still_has_its_page(admin_client: Client) -> None:
    run = make_ended_run(trigger="replay", replay_of=uuid4())
    assert '<div class="readonly">-</div>' in html(admin_client, page_of(run))


def test_cancel_and_resolve_settle_runs(admin_client: Client) -> None:
    runs = one_of_each_status()
    ids = [str(run.pk) for run in runs.values()]
    page = admin_client.post(RUNS, {"action": "cancel", "_selected_action": ids}, follow=True).content.decode()
    assert "Runs cancelled: 2." in page
    assert "only a pending or retrying run can be cancelled" in page
    assert "And 1 more was refused like these." in page
    page = admin_client.post(RUNS, {"action": "resolve", "_selected_action": ids}, follow=True).content.decode()
    assert "Runs resolved: 2." in page
    failed = runs["failed"]
    failed.refresh_from_db()
    assert failed.resolved_note == "by root in the admin"
    assert "by root in the admin" in html(admin_client, page_of(failed))
    assert {b["verb"] for b in admin_client.get(page_of(failed)).context["object_actions"]} == {"replay"}


def test_a_page_shows_its_attempts_in_order(admin_client: Client) -> None:
    run = make_ended_run()
    make_attempt(run, attempt_number=2, token=2, error_message="second", error_type="dns", status_code=None)
    make_attempt(run, error_message="first", error_type="server_error", status_code=503)
    page = html(admin_client, page_of(run))
    assert page.index("first") < page.index("second")
    assert '<span class="badge badge-server_error">server_error</span> first' in page


def test_what_came_back_is_inert_text(admin_client: Client) -> None:
    run = make_ended_run(final_error_message=HOSTILE, resolved_at=NOW, resolved_note=HOSTILE)
    attempt = make_attempt(
        run,
        request_url=HOSTILE,
        request_headers={HOSTILE: HOSTILE},
        request_body=HOSTILE,
        response_headers={HOSTILE: HOSTILE},
        response_body=HOSTILE,
        error_message=HOSTILE,
        timings={HOSTILE: 1, "dns_ms": HOSTILE},
    )
    for address in (page_of(run), page_of(attempt), RUNS, ATTEMPTS):
        page = html(admin_client, address)
        assert "<script>alert" not in page
        assert "<img src=x" not in page
    page = html(admin_client, page_of(attempt))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert " 1.0 ms" in page


def test_an_attempt_shows_what_was_sent_and_what_came_back(admin_client: Client) -> None:
    attempt = make_attempt(
        make_ended_run(),
        request_headers={"Authorization": "********"},
        request_body='{"a":1}',
        response_headers={"Content-Type": "text/plain"},
        response_body="fine",
        response_size_bytes=1234567,
        response_truncated=True,
        remote_ip="203.0.113.7",
        timings={"dns_ms": 1.25, "tls_ms": None, "total_ms": 20},
        fenced=True,
    )
    page = html(admin_client, page_of(attempt))
    assert "Authorization: ********" in page
    assert "{\n  &quot;a&quot;: 1\n}" in page
    assert "200 from 203.0.113.7, 1,234,567 bytes, of which the beginning was kept" in page
    assert "dns 1.2 ms, total 20.0 ms" in page
    assert "It came after the run had been given to another worker" in page
    assert "1,000 ms" in html(admin_client, ATTEMPTS)


def test_an_open_attempt_has_a_page(admin_client: Client) -> None:
    run = make_run(status="running", worker_id=uuid4(), next_attempt_at=None)
    attempt = make_attempt(run, completed_at=None, latency_ms=None, status_code=None)
    for address in (page_of(attempt), page_of(run), ATTEMPTS):
        assert '<span class="badge badge-running">running</span>' in html(admin_client, address)


@pytest.mark.parametrize("text", ["", "plain", "{", "[" * 100_000, '"\\ud800"', "NaN", "1" * 5000])
def test_any_text_can_be_shown(text: str) -> None:
    assert isinstance(indented(text), str)


def test_long_bodies_are_cut_on_the_runs_page_and_whole_on_the_attempts(
    admin_client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    run = make_ended_run()
    long = json.dumps(["x" * 40] * 2000)
    for number in range(1, 31):
        attempt = make_attempt(run, attempt_number=number, response_body=long, request_body="short")
    with django_assert_max_num_queries(12) as captured:
        page = html(admin_client, page_of(run))
    assert len(page) < 300_000
    whole = r'(?<!\()"runs_attempt"."(?:response|request)_body"'
    assert not [query["sql"] for query in captured.captured_queries if re.search(whole, query["sql"])]
    assert page.count("Show all of it") == 30
    assert page_of(attempt) in page
    assert html(admin_client, page_of(attempt)).count("x" * 40) == 2000


def test_a_test_call_without_schedule_breaks_nothing(admin_client: Client) -> None:
    run = make_ended_run(schedule=None, trigger="test")
    Run.objects.filter(pk=run.pk).update(schedule=None)
    assert "test call" in html(admin_client, RUNS)
    assert "test call" in html(admin_client, page_of(run))


def test_runs_are_found_by_any_id_and_by_the_schedules_name(admin_client: Client) -> None:
    run = make_run(make_schedule(name="Nightly export"))
    make_run(make_schedule(name="Something else"))
    assert run.schedule
    for term in (run.pk, run.schedule.pk, run.target.pk, "nightly", f" {run.pk} "):
        assert found(admin_client, q=term) == [run]
    assert found(admin_client, q=uuid4()) == []
    assert found(admin_client, q="no such name") == []
    assert len(found(admin_client, q="  ")) == 2


def test_attempts_are_found_by_their_run(admin_client: Client) -> None:
    attempt = make_attempt(make_ended_run())
    make_attempt(make_ended_run())
    assert found(admin_client, ATTEMPTS, q=attempt.run_id) == [attempt]
    assert found(admin_client, ATTEMPTS, q="banana") == []
    assert len(found(admin_client, ATTEMPTS, q=" ")) == 2


@pytest.mark.parametrize(
    ("query", "statuses"),
    [
        ({"dead": "true"}, {"failed", "timeout"}),
        ({"dead": "banana"}, None),
        ({"status__exact": "pending"}, {"pending"}),
        ({"status__exact": "banana"}, set()),
        ({"trigger__exact": "manual"}, set()),
        ({"final_error_type__exact": "dns"}, {"failed"}),
    ],
)
def test_runs_are_filtered(admin_client: Client, query: dict[str, str], statuses: set[str] | None) -> None:
    everything = set(one_of_each_status())
    assert {run.status for run in found(admin_client, **query)} == (everything if statuses is None else statuses)


def test_resolved_runs_need_no_attention(admin_client: Client) -> None:
    make_ended_run(status="failed", resolved_at=NOW)
    assert found(admin_client, dead="true") == []


def test_deleted_owners_take_runs_and_attempts_out_of_sight(admin_client: Client) -> None:
    schedule = make_schedule(deleted_at=NOW)
    target = make_target(deleted_at=NOW)
    for run in (make_ended_run(schedule), make_ended_run(make_schedule(target))):
        attempt = make_attempt(run)
        assert admin_client.get(page_of(run)).status_code == 302
        assert admin_client.get(page_of(attempt)).status_code == 302
    assert found(admin_client) == []
    assert found(admin_client, ATTEMPTS) == []


@pytest.mark.parametrize("address", [RUNS, ATTEMPTS])
def test_nobody_edits_history(admin_client: Client, address: str) -> None:
    run = make_ended_run()
    row: Run | Attempt = run if address == RUNS else make_attempt(run)
    assert admin_client.get(f"{address}add/").status_code == 403
    assert admin_client.post(page_of(row), {"status": "failed"}).status_code == 403
    assert admin_client.post(f"{address}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    page = html(admin_client, page_of(row))
    assert 'name="_save"' not in page
    assert "History" not in page


def test_people_get_the_verbs_that_they_may_use() -> None:
    run = make_ended_run()
    viewer = staff("runs.view_run")
    assert viewer.get(page_of(run)).context["object_actions"] == []
    assert viewer.get(RUNS).context["action_form"] is None
    assert viewer.post(f"{RUNS}{run.pk}/act/replay/").status_code == 403
    viewer.post(RUNS, {"action": "replay", "_selected_action": [str(run.pk)]})
    assert Run.objects.count() == 1


def test_newest_runs_come_first(admin_client: Client) -> None:
    times = [NOW + timedelta(minutes=minute) for minute in (3, 1, 2)]
    for moment in times:
        make_run(scheduled_at=moment)
    assert [run.scheduled_at for run in found(admin_client)] == sorted(times, reverse=True)
