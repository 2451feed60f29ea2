"""Verbs in the admin, whatever they do."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import pytest
from django.contrib.messages.storage.fallback import FallbackStorage
from django.test import Client, RequestFactory

from runs.models import Run
from scheduler_project import admin_actions
from tests.factories import make_ended_run, make_run, make_schedule
from tests.signed_in import make_user
from tests.staff import staff, superuser

pytestmark = pytest.mark.django_db
SCHEDULES, RUNS = "/admin/schedules/schedule/", "/admin/runs/run/"


@pytest.fixture
def admin_client(db: None) -> Client:
    return superuser()


def act(client: Client, verb: str, ids: Sequence[UUID]) -> str:
    data = {"action": verb, "_selected_action": [str(key) for key in ids]}
    return client.post(RUNS, data, follow=True).content.decode()


def test_a_button_needs_a_post(admin_client: Client) -> None:
    run = make_ended_run()
    assert admin_client.get(f"{RUNS}{run.pk}/act/replay/").status_code == 405
    assert Run.objects.count() == 1


def test_a_button_needs_the_token_of_its_page() -> None:
    run = make_ended_run()
    client = Client(enforce_csrf_checks=True)
    client.cookies = superuser().cookies
    assert client.post(f"{RUNS}{run.pk}/act/replay/").status_code == 403
    assert Run.objects.count() == 1


def test_a_button_needs_someone_signed_in() -> None:
    run = make_ended_run()
    response = Client().post(f"{RUNS}{run.pk}/act/replay/")
    assert response["Location"].startswith("/admin/login/")
    assert Run.objects.count() == 1


@pytest.mark.parametrize("verb", ["delete_selected", "get_urls", "banana"])
def test_only_declared_verbs_can_be_called(admin_client: Client, verb: str) -> None:
    assert admin_client.post(f"{RUNS}{make_ended_run().pk}/act/{verb}/").status_code == 404


def test_a_verb_on_a_row_that_is_gone_does_nothing(admin_client: Client) -> None:
    response = admin_client.post(f"{RUNS}00000000-0000-0000-0000-000000000000/act/replay/", follow=True)
    assert "Perhaps it was deleted?" in response.content.decode()


def test_whoever_may_not_see_the_row_may_not_act_on_it() -> None:
    run = make_ended_run()
    assert staff("runs.add_run").post(f"{RUNS}{run.pk}/act/replay/").status_code == 403
    assert staff_with_both().post(f"{RUNS}{run.pk}/act/replay/").status_code == 302


def staff_with_both() -> Client:
    client = Client()
    client.force_login(make_user("runs.add_run", "runs.view_run", username="both"))
    return client


def test_too_many_at_once_are_refused_as_a_whole(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_actions, "MOST_ACTED_ON", 2)
    runs = [make_ended_run().pk for _ in range(3)]
    assert "At most 2 at once" in act(admin_client, "replay", runs)
    assert Run.objects.count() == 3
    assert "Runs created: 2." in act(admin_client, "replay", runs[:2])


def test_many_refusals_are_summed_up(admin_client: Client) -> None:
    schedule = make_schedule()
    runs = [make_run(schedule).pk for _ in range(7)]
    page = act(admin_client, "replay", runs)
    assert page.count("only a run that has ended can be replayed") == 5
    assert "And 2 more were refused like these." in page
    assert "Runs created" not in page


def test_a_row_deleted_meanwhile_is_said() -> None:
    def gone(**_: object) -> None:
        raise Run.DoesNotExist

    request = RequestFactory().post("/")
    request.session = {}  # type: ignore[assignment]
    messages = FallbackStorage(request)
    request._messages = messages  # type: ignore[attr-defined]
    run = make_ended_run()
    admin_actions.act_on_each(request, Run.objects.all(), gone, key="run_id", verb="cancel", done="never {}")
    assert [str(message) for message in messages] == [f"{run}: It was deleted meanwhile."]
