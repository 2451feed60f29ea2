"""Schedules in the admin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from runs.models import Run, ScheduleRollup
from schedules.clock import database_now
from schedules.models import Schedule
from schedules.services import create_schedule, pause_schedule
from targets.models import Target
from tests.factories import NOW, make_run, make_schedule, make_target
from tests.html_forms import errors_of, form_data
from tests.staff import staff, superuser

pytestmark = [pytest.mark.django_db, pytest.mark.no_cover]
LATER = NOW + timedelta(days=3650)
LIST, ADD = "/admin/schedules/schedule/", "/admin/schedules/schedule/add/"


@pytest.fixture
def admin_client(db: None) -> Client:
    return superuser()


def page_of(schedule: Schedule) -> str:
    return f"{LIST}{schedule.pk}/change/"


def untouched(client: Client, address: str) -> dict[str, str]:
    return form_data(client.get(address).content.decode(), "schedule_form")


def save(client: Client, schedule: Schedule, **changes: str) -> Any:
    return client.post(page_of(schedule), {**untouched(client, page_of(schedule)), **changes})


def add(client: Client, target: Target, /, **values: str) -> Any:
    data = {**untouched(client, ADD), "name": "S", "target": str(target.pk), "interval_seconds": "60"}
    return client.post(ADD, {**data, **values})


def new_schedule(**fields: Any) -> Schedule:
    values = {"name": "S", "target_id": make_target().pk, "schedule_type": "interval", "interval_seconds": 3600}
    return create_schedule(fields={**values, **fields}, now=database_now())


def rows(client: Client, **query: str) -> list[str]:
    return [row.name for row in client.get(LIST, query).context["cl"].result_list]


def test_an_interval_is_made_from_name_target_and_seconds(admin_client: Client, settings: Settings) -> None:
    assert add(admin_client, make_target()).status_code == 302
    schedule = Schedule.objects.get()
    assert (schedule.schedule_type, schedule.interval_seconds, schedule.status) == ("interval", 60, "active")
    assert (schedule.timezone, schedule.max_retries) == (settings.SCHEDULER_TIME_ZONE, settings.MAX_RETRIES)
    assert schedule.next_run_at == schedule.created_at + timedelta(seconds=60)


def test_times_are_read_and_shown_in_the_services_zone(admin_client: Client) -> None:
    year = database_now().year + 1
    values = {"schedule_type": "once", "interval_seconds": "", "run_at_0": f"{year}-07-01", "run_at_1": "06:30:15"}
    assert add(admin_client, make_target(), **values).status_code == 302
    schedule = Schedule.objects.get()
    assert schedule.run_at == datetime(year, 7, 1, 1, 0, 15, tzinfo=UTC)
    data = untouched(admin_client, page_of(schedule))
    assert (data["run_at_0"], data["run_at_1"]) == (f"{year}-07-01", "06:30:15")
    assert f'<span class="date">{year}-07-01</span> 06:30:15' in admin_client.get(LIST).content.decode()


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("name", {"name": ""}),
        ("target", {"target": ""}),
        ("target", {"target": "00000000-0000-0000-0000-000000000000"}),
        ("interval_seconds", {"interval_seconds": ""}),
        ("interval_seconds", {"interval_seconds": "0"}),
        ("cron_expression", {"cron_expression": "* * * * *"}),
        ("cron_expression", {"schedule_type": "cron", "interval_seconds": "", "cron_expression": "banana"}),
        ("run_at", {"schedule_type": "once", "interval_seconds": "", "run_at_0": "2001-01-01", "run_at_1": "00:00"}),
        ("timezone", {"timezone": "Mars/Olympus"}),
        ("jitter_seconds", {"jitter_seconds": "60"}),
        ("expires_at", {"expires_at_0": "2001-01-01", "expires_at_1": "00:00"}),
        ("max_retry_delay_seconds", {"retry_delay_seconds": "10", "max_retry_delay_seconds": "5"}),
    ],
)
def test_what_can_not_be_saved_is_said_at_its_field(admin_client: Client, field: str, values: dict[str, str]) -> None:
    assert list(errors_of(add(admin_client, make_target(), **values))) == [field]
    assert not Schedule.objects.exists()


@pytest.mark.any_database
@pytest.mark.parametrize("value", ["-1", "9" * 30])
@pytest.mark.parametrize(
    "field",
    ["interval_seconds", "duration_seconds", "max_runs", "max_retries", "retry_delay_seconds",
     "max_retry_delay_seconds", "misfire_grace_seconds", "jitter_seconds"],
)  # fmt: skip
def test_a_number_out_of_range_is_told_the_services_limits(admin_client: Client, field: str, value: str) -> None:
    errors = errors_of(add(admin_client, make_target(), **{field: value}))
    assert [*errors] == [field]
    assert errors[field][0].startswith("Must be from ")


def test_all_that_is_wrong_is_said_at_once(admin_client: Client) -> None:
    wrong = {"interval_seconds": "often", "max_retries": "101", "start_at_0": "soon"}
    assert set(errors_of(add(admin_client, make_target(), **wrong))) == {"interval_seconds", "max_retries", "start_at"}
    assert set(errors_of(add(admin_client, make_target(), name="", max_runs="0"))) == {"name", "max_runs"}
    assert set(errors_of(save(admin_client, new_schedule(), **wrong))) == {
        "interval_seconds",
        "max_retries",
        "start_at",
    }


def test_a_target_that_is_gone_is_said_at_the_target(admin_client: Client) -> None:
    target = make_target()
    target.deleted_at = NOW
    target.save(update_fields=["deleted_at"])
    assert list(errors_of(add(admin_client, target))) == ["target"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"duration_seconds": 86_400, "max_runs": 3, "jitter_seconds": 5},
        {"schedule_type": "cron", "interval_seconds": None, "cron_expression": "0 9 * * 1-5", "timezone": "UTC"},
        {"start_at": datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)},
    ],
)
def test_saving_an_untouched_form_writes_nothing(admin_client: Client, fields: dict[str, Any]) -> None:
    schedule = new_schedule(**fields)
    before = Schedule.objects.filter(pk=schedule.pk).values().get()
    assert save(admin_client, schedule).status_code == 302
    assert Schedule.objects.filter(pk=schedule.pk).values().get() == {**before, "updated_at": _updated(schedule)}


@pytest.mark.parametrize("utc_hour", [0, 1])
def test_a_start_in_the_hour_that_clocks_repeat_can_be_saved_untouched(
    admin_client: Client, settings: Settings, utc_hour: int
) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    start = datetime(2026, 10, 25, utc_hour, 30, tzinfo=UTC)
    schedule = new_schedule(start_at=start, schedule_type="interval", interval_seconds=3600)
    assert save(admin_client, schedule, name="Renamed").status_code == 302
    schedule.refresh_from_db()
    assert (schedule.name, schedule.start_at) == ("Renamed", start)


def _updated(schedule: Schedule) -> datetime:
    return Schedule.objects.get(pk=schedule.pk).updated_at


def test_an_edit_of_the_name_leaves_the_next_run_alone(admin_client: Client) -> None:
    schedule = make_schedule(next_run_at=NOW)
    assert save(admin_client, schedule, name="Renamed").status_code == 302
    schedule.refresh_from_db()
    assert (schedule.name, schedule.next_run_at) == ("Renamed", NOW)


def test_another_type_takes_the_former_field_away(admin_client: Client) -> None:
    schedule = new_schedule()
    assert save(admin_client, schedule, schedule_type="cron", cron_expression="0 9 * * *").status_code == 302
    schedule.refresh_from_db()
    assert (schedule.interval_seconds, schedule.cron_expression) == (None, "0 9 * * *")


def test_the_target_can_be_exchanged(admin_client: Client) -> None:
    schedule, other = new_schedule(), make_target(name="Other")
    save(admin_client, schedule, target=str(other.pk))
    schedule.refresh_from_db()
    assert schedule.target == other


def test_an_unknown_zone_of_old_breaks_no_page_and_can_be_kept(admin_client: Client) -> None:
    schedule = make_schedule(timezone="Mars/Olympus", last_error="Unknown time zone 'Mars/Olympus'.")
    cron = {"schedule_type": "cron", "interval_seconds": None, "cron_expression": "0 9 * * *", "expires_at": LATER}
    Schedule.objects.filter(pk=schedule.pk).update(**cron)
    assert "unknown time zone Mars/Olympus" in admin_client.get(LIST).content.decode()
    page = admin_client.get(page_of(schedule)).content.decode()
    assert 'class="badge badge-held"' in page
    assert "Unknown time zone" in page
    assert save(admin_client, schedule, name="Renamed").status_code == 302
    schedule.refresh_from_db()
    assert (schedule.name, schedule.timezone) == ("Renamed", "Mars/Olympus")


def test_a_schedule_deleted_meanwhile_is_said(admin_client: Client) -> None:
    schedule = new_schedule()
    data = untouched(admin_client, page_of(schedule))
    Schedule.objects.filter(pk=schedule.pk).update(deleted_at=NOW)
    response = admin_client.post(page_of(schedule), data, follow=True)
    assert "Perhaps it was deleted?" in response.content.decode()


@pytest.mark.parametrize(
    ("verb", "status", "after", "runs"),
    [("run_now", "active", "active", 1), ("pause", "active", "paused", 0), ("resume", "paused", "active", 0)],
)
@pytest.mark.parametrize("way", ["list", "button"])
def test_verbs_work_from_the_list_and_as_buttons(
    admin_client: Client, way: str, verb: str, status: str, after: str, runs: int
) -> None:
    schedule = new_schedule()
    if status == "paused":
        pause_schedule(schedule_id=schedule.pk, now=database_now(), reason="holidays")
    if way == "list":
        admin_client.post(LIST, {"action": verb, "_selected_action": [str(schedule.pk)]})
    else:
        response = admin_client.post(f"{LIST}{schedule.pk}/act/{verb}/")
        assert response["Location"] == page_of(schedule)
    schedule.refresh_from_db()
    assert schedule.status == after
    assert [run.trigger for run in Run.objects.all()] == ["manual"] * runs


def test_a_wrong_state_is_said_and_the_others_go_through(admin_client: Client) -> None:
    first, second = new_schedule(name="First"), new_schedule(name="Second")
    pause_schedule(schedule_id=first.pk, now=database_now())
    ids = [str(first.pk), str(second.pk)]
    page = admin_client.post(LIST, {"action": "pause", "_selected_action": ids}, follow=True).content.decode()
    assert "First: Only an active schedule can be paused; this one is paused." in page
    assert "Schedules paused: 1." in page


@pytest.mark.parametrize(
    ("status", "buttons"),
    [("active", {"run_now", "pause"}), ("paused", {"run_now", "resume"}), ("expired", {"run_now"})],
)
def test_only_buttons_that_make_sense_are_there(admin_client: Client, status: str, buttons: set[str]) -> None:
    schedule = make_schedule(status=status, next_run_at=NOW if status == "active" else None)
    offered = admin_client.get(page_of(schedule)).context["object_actions"]
    assert {button["verb"] for button in offered} == buttons


def test_the_page_shows_what_comes_next_and_what_came_last(admin_client: Client) -> None:
    schedule = new_schedule(schedule_type="cron", interval_seconds=None, cron_expression="0 9 * * *")
    ScheduleRollup.objects.create(schedule=schedule, last_status="failed", last_error_type="dns")
    page = admin_client.get(page_of(schedule)).content.decode()
    assert page.count("09:00:00</div>") + page.count("09:00:00 </div>") == 5
    assert '<span class="badge badge-failed">failed</span> dns' in page


@pytest.mark.parametrize("last_status", ["", "success"])
def test_the_list_shows_the_last_outcome(admin_client: Client, last_status: str) -> None:
    ScheduleRollup.objects.create(schedule=new_schedule(), last_status=last_status)
    page = admin_client.get(LIST).content.decode()
    assert ('<td class="field-last_outcome">-</td>' in page) is (last_status == "")
    assert ('<span class="badge badge-success">success</span>' in page) is (last_status == "success")


def test_why_it_is_paused_is_said(admin_client: Client) -> None:
    schedule = new_schedule()
    pause_schedule(schedule_id=schedule.pk, now=database_now(), reason="until the sale starts")
    assert "until the sale starts" in admin_client.get(page_of(schedule)).content.decode()


def test_the_list_is_searched_by_schedule_and_target(admin_client: Client) -> None:
    make_schedule(make_target(name="Billing"), name="Invoices")
    make_schedule(make_target(name="Orders"), name="Sync")
    assert rows(admin_client, q="invoi") == ["Invoices"]
    assert rows(admin_client, q="orders") == ["Sync"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"status__exact": "paused"}, ["P"]),
        ({"schedule_type__exact": "interval"}, ["P", "A"]),
        ({"o": "1"}, ["A", "P"]),
    ],
)
def test_the_list_is_filtered_and_sorted(admin_client: Client, query: dict[str, str], names: list[str]) -> None:
    make_schedule(name="A")
    make_schedule(name="P", status="paused", next_run_at=None, created_at=NOW + timedelta(seconds=1))
    assert rows(admin_client, **query) == names


def test_deleting_takes_its_runs_out_of_sight(admin_client: Client) -> None:
    run = make_run()
    assert run.schedule
    address = f"{LIST}{run.schedule.pk}/delete/"
    assert "with all its runs" in admin_client.get(address).content.decode()
    assert admin_client.post(address, {"post": "yes"}).status_code == 302
    assert not Run.objects.exists()
    assert Schedule.with_deleted.get().deleted_at


def test_its_link_leads_to_its_runs(admin_client: Client) -> None:
    run = make_run()
    make_run()
    assert run.schedule
    address = f"/admin/runs/run/?schedule__id__exact={run.schedule.pk}"
    assert address in admin_client.get(page_of(run.schedule)).content.decode()
    assert list(admin_client.get(address).context["cl"].result_list) == [run]


@pytest.mark.parametrize(
    ("permissions", "buttons", "actions"),
    [
        ([], [], []),
        (["runs.add_run"], ["run_now"], ["run_now"]),
        (["schedules.change_schedule"], ["pause"], ["pause", "resume"]),
        (["schedules.delete_schedule"], [], ["delete_selected"]),
    ],
)
def test_people_get_the_verbs_that_they_may_use(permissions: list[str], buttons: list[str], actions: list[str]) -> None:
    schedule = new_schedule()
    client = staff("schedules.view_schedule", *permissions)
    offered = client.get(page_of(schedule)).context["object_actions"]
    assert [button["verb"] for button in offered] == buttons
    form = client.get(LIST).context["action_form"]
    assert [name for name, _ in form.fields["action"].choices if name] == actions if actions else form is None
    for verb in {"run_now", "pause", "resume"} - set(actions):
        assert client.post(f"{LIST}{schedule.pk}/act/{verb}/").status_code == 403


def test_who_may_only_look_sees_the_values(admin_client: Client) -> None:
    schedule = new_schedule(name="Seen")
    client = staff("schedules.view_schedule")
    page = client.get(page_of(schedule)).content.decode()
    assert "Seen" in page
    assert 'name="_save"' not in page
    assert client.post(page_of(schedule), {"name": "x"}).status_code == 403


def test_the_target_is_chosen_or_added_but_not_deleted_from_here(admin_client: Client) -> None:
    page = admin_client.get(ADD).content.decode()
    assert 'id="add_id_target"' in page
    assert 'id="delete_id_target"' not in page
    assert 'id="change_id_target"' not in page
