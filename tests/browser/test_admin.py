"""The admin as people use it, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django import Settings

from access.audit import Thing, record
from runs.models import Run
from schedules.clock import database_now
from schedules.models import Schedule
from targets.models import Target
from tests.browser.conftest import NewPage
from tests.factories import make_attempt, make_ended_run, make_run, make_schedule, make_target
from tests.http_target import RecordingTarget
from tests.staff import superuser
from worker.models import WorkerProcess

pytestmark = [pytest.mark.any_database, pytest.mark.django_db(transaction=True), pytest.mark.no_cover]
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
BACKGROUNDS: dict[Literal["light", "dark"], str] = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 18, 18)"}
LONG = "averyveryverylongnamewithoutspaces" * 5


@pytest.fixture
def called(settings: Settings) -> Iterator[RecordingTarget]:
    settings.EGRESS_ALLOW_HOSTS = ("127.0.0.1",)
    with RecordingTarget() as target:
        yield target


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_a_day_with_the_admin(new_page: NewPage, called: RecordingTarget) -> None:
    User.objects.create_superuser("root", password="correct horse")
    page = new_page(**DESKTOP)

    page.goto("/admin/")
    page.get_by_label("Username").fill("root")
    page.get_by_label("Password").fill("correct horse")
    press(page, "Log in")
    expect(page.get_by_text("start one: python manage.py runscheduler")).to_be_visible()

    page.get_by_role("link", name="Add a target").click()
    page.locator("#id_name").fill("Orders API")
    page.get_by_label("URL:", exact=True).fill(called.url("/echo"))
    page.get_by_label("Headers").fill("Authorization: Bearer s3cret\nAccept: text/plain")
    save(page)
    page.get_by_role("link", name="Orders API").first.click()
    expect(page.get_by_label("Headers")).to_have_value("Authorization: ********\nAccept: text/plain")
    save(page)
    assert Target.objects.get().headers == {"Authorization": "Bearer s3cret", "Accept": "text/plain"}

    page.goto("/admin/schedules/schedule/add/")
    page.locator("#id_name").fill("Sync orders")
    page.locator(".field-target .select2-selection").click()
    page.locator(".select2-search__field").fill("orders")
    page.get_by_role("option", name="Orders API").click()
    page.get_by_label("Every ... seconds").fill("3600")
    save(page)
    page.get_by_role("link", name="Sync orders").first.click()

    press(page, "Pause")
    expect(page.locator(".badge-paused")).to_be_visible()
    press(page, "Resume")
    expect(page.locator(".badge-active")).to_be_visible()
    press(page, "Run now")
    expect(page.get_by_text("Runs created: 1. A worker makes the calls now.")).to_be_visible()
    page.locator(".field-links").get_by_role("link", name="runs").click()
    expect(page.locator("#result_list .badge-pending")).to_have_count(1)
    assert [schedule.status for schedule in Schedule.objects.all()] == ["active"]


def test_a_test_call_is_read_and_replayed(new_page: NewPage, called: RecordingTarget) -> None:
    target = make_target(url=called.url("/echo"), method="POST", body_template='{"hello": "{{run_id}}"}')
    page = new_page(superuser(), **DESKTOP)
    page.goto(f"/admin/targets/target/{target.pk}/change/")
    press(page, "Send a test call")
    run = Run.objects.get()
    expect(page).to_have_url(re.compile(f"/admin/runs/run/{run.pk}/change/"))
    expect(page.locator(".badge-success").first).to_be_visible()
    expect(page.get_by_text("200 from 127.0.0.1")).to_be_visible()
    expect(page.get_by_text(f'"hello": "{run.pk}"').first).to_be_visible()
    press(page, "Replay")
    expect(page.get_by_text("Runs created: 1.")).to_be_visible()
    assert Run.objects.get(trigger="replay").replay_of == run.pk


def test_the_form_shows_the_field_of_the_chosen_type_only(new_page: NewPage) -> None:
    target = make_target()
    page = new_page(superuser(), **DESKTOP)
    page.goto("/admin/schedules/schedule/add/")
    fields = {kind: page.locator(f".field-{name}") for kind, name in OWN_FIELD.items()}
    for chosen in ("cron", "once", "interval", "cron"):
        page.get_by_label("Type").select_option(chosen)
        for kind, field in fields.items():
            expect(field).to_be_visible(visible=kind == chosen)

    page.locator("#id_name").fill("Nightly")
    page.locator(".field-target .select2-selection").click()
    page.get_by_role("option", name=target.name).click()
    page.get_by_label("Type").select_option("interval")
    page.get_by_label("Every ... seconds").fill("60")
    page.get_by_label("Type").select_option("cron")
    page.get_by_label("Cron expression").fill("banana")
    save(page)
    expect(page.locator(".field-cron_expression .errorlist")).to_be_visible()
    page.get_by_label("Cron expression").fill("0 9 * * *")
    save(page)
    expect(page.get_by_text("was added successfully")).to_be_visible()
    assert Schedule.objects.get().interval_seconds is None


OWN_FIELD = {"interval": "interval_seconds", "cron": "cron_expression", "once": "run_at"}


def fill_with_odd_rows() -> list[str]:
    """Rows with texts that are hard to fit, and the addresses of all pages that show them."""
    now = database_now()
    target = make_target(name=LONG, url=f"http://example.com/{LONG * 4}", headers={f"X-{LONG}": LONG})
    schedule = make_schedule(target, name=LONG, last_error=LONG)
    run = make_ended_run(schedule, status="failed", final_error_message=LONG * 4)
    attempt = make_attempt(
        run, response_body=f"<script>alert(1)</script>{LONG * 200}", response_headers={LONG: LONG}, error_message=LONG
    )
    make_run(schedule, status="running", worker_id=uuid4(), next_attempt_at=None)
    worker = WorkerProcess.objects.create(
        hostname=LONG, pid=1, seats=1, started_at=now, last_seen_at=now, lease_until=now
    )
    rows = {
        "targets/target": target,
        "schedules/schedule": schedule,
        "runs/run": run,
        "runs/attempt": attempt,
        "worker/workerprocess": worker,
    }
    lists = [f"/admin/{kind}/" for kind in (*rows, "access/apikey", "auth/user", "auth/group")]
    forms = [f"/admin/{kind}/add/" for kind in ("targets/target", "schedules/schedule", "access/apikey", "auth/user")]
    pages = [f"/admin/{kind}/{row.pk}/change/" for kind, row in rows.items()]
    return [
        "/admin/",
        *lists,
        *forms,
        *pages,
        f"/admin/targets/target/{target.pk}/delete/",
        f"/admin/targets/target/{target.pk}/history/",
        "/admin/password_change/",
        "/admin/runs/run/?q=nothing",
    ]


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_no_page_scrolls_sideways(new_page: NewPage, device: dict[str, Any]) -> None:
    page = new_page(superuser(), **device)
    for address in fill_with_odd_rows():
        page.goto(address)
        for scheme, background in BACKGROUNDS.items():
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == background, address
            assert page.evaluate("document.documentElement.scrollWidth") <= device["viewport"]["width"], address


def test_an_audit_event_is_told_whole_on_a_phone(new_page: NewPage) -> None:
    record("target.update", Thing("target", str(uuid4()), "https://example.com/" + "unbroken" * 9), now=timezone.now())
    page = new_page(superuser(), **PHONE)
    page.goto("/admin/access/auditevent/")
    expect(page.locator(".field-what")).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.querySelector('.results').scrollWidth") <= PHONE["viewport"]["width"]


def test_the_bar_of_sections_begins_where_the_page_is_on_a_phone(new_page: NewPage) -> None:
    page = new_page(superuser(), **PHONE)
    page.goto("/admin/runs/attempt/")
    expect(page.locator(".sections [aria-current]")).to_be_in_viewport(ratio=1)


def test_the_login_page_fits_a_phone(new_page: NewPage) -> None:
    page = new_page(**PHONE)
    page.goto("/admin/")
    expect(page.get_by_label("Password")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["viewport"]["width"]


@pytest.mark.parametrize("address", ["/docs", "/redoc"])
def test_the_documentation_of_the_api_renders_offline(new_page: NewPage, address: str) -> None:
    page = new_page(**DESKTOP)
    page.goto(address)
    expect(page.get_by_text("/api/v1/targets").first).to_be_visible(timeout=30_000)
