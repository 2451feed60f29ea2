"""What a fresh database gets, once."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from django.contrib.auth import authenticate, get_user_model
from pytest_django import Settings

from access.keys import find_key
from access.models import ApiKey, Scope
from scheduler_project.first_start import DEMO_NAME, Welcome, follow_port, health_url, prepare
from schedules.models import Schedule
from targets.models import Target
from tests.factories import NOW

pytestmark = pytest.mark.django_db
PORT = 8123


@pytest.fixture(autouse=True)
def loopback(settings: Settings) -> None:
    """Open loopback, as `make run` does."""
    settings.EGRESS_ALLOW_CIDRS = [ip_network("127.0.0.0/8")]


def start(port: int = PORT) -> Welcome:
    """One start; returns what the user was told."""
    shown: list[Welcome] = []
    prepare(port=port, now=NOW, show=shown.append)
    return shown[0]


def test_the_administrator_can_sign_in_with_the_password_shown() -> None:
    welcome = start()
    user = authenticate(username=welcome.username, password=welcome.password)
    assert user is not None
    assert user.is_superuser
    assert welcome.username == "admin"


def test_the_key_shown_opens_everything() -> None:
    key = find_key(text=start().api_key, now=NOW, address="")
    assert set(key.scopes) == set(Scope.values)
    assert key.expires_at is None


def test_the_demo_calls_our_own_health_within_seconds() -> None:
    start()
    schedule = Schedule.objects.select_related("target").get()
    assert schedule.target.url == "http://127.0.0.1:8123/api/v1/health"
    assert schedule.interval_seconds == 10
    assert schedule.next_run_at is not None
    assert (schedule.next_run_at - NOW).total_seconds() == 2


def test_a_second_start_makes_and_shows_nothing() -> None:
    start()
    assert start() == Welcome()
    assert (get_user_model().objects.count(), ApiKey.objects.count(), Target.objects.count()) == (1, 1, 1)


def test_a_demo_that_was_deleted_does_not_come_back() -> None:
    start()
    Schedule.objects.all().delete()
    Target.objects.all().delete()
    start()
    assert not Target.objects.exists()


def test_a_revoked_key_is_not_replaced() -> None:
    start()
    ApiKey.objects.update(revoked_at=NOW)
    assert start().api_key == ""


def test_the_first_administrator_takes_another_name_if_admin_is_taken() -> None:
    get_user_model().objects.create_user("admin")
    assert start().username.startswith("admin-")


def test_what_nobody_saw_is_not_kept() -> None:
    def broken_pipe(welcome: Welcome) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        prepare(port=PORT, now=NOW, show=broken_pipe)
    assert not get_user_model().objects.exists()
    assert not ApiKey.objects.exists()


def test_without_loopback_there_is_no_demo_and_the_reason_is_told(settings: Settings) -> None:
    settings.EGRESS_ALLOW_CIDRS = []
    welcome = start()
    assert "EGRESS_ALLOW_CIDRS" in welcome.no_demo
    assert welcome.password
    assert not Target.objects.exists()


def test_the_demo_follows_the_port() -> None:
    start()
    follow_port(port=9001, now=NOW)
    assert Target.objects.get().url == health_url(9001)


@pytest.mark.parametrize(
    "changes", [{"url": "http://127.0.0.1:8123/api/v1/metrics"}, {"url": "https://example.com/"}, {"name": "Mine"}]
)
def test_a_demo_that_was_edited_stays_as_it_is(changes: dict[str, str]) -> None:
    start()
    Target.objects.update(**changes)
    before = Target.objects.get().url
    follow_port(port=9001, now=NOW)
    assert Target.objects.get().url == before


def test_only_the_demo_follows_the_port() -> None:
    start()
    Target.objects.filter(name=DEMO_NAME).update(name="Other")
    follow_port(port=9001, now=NOW)
    assert Target.objects.get().url == health_url(PORT)
