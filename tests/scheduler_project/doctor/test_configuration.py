"""Checks of the settings, and of the keys against what is stored."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from scheduler_project.doctor.configuration import check_keys, check_settings
from scheduler_project.doctor.findings import Level
from tests.factories import make_target
from tests.scheduler_project.doctor.examined import only, quiet

NO_FILE = Path("/nowhere/.env")


def test_the_defaults_fit_together(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    assert only(check_settings(NO_FILE)).level is Level.OK


@pytest.mark.parametrize(
    ("changed", "level", "words"),
    [
        ({"ALLOWED_HOSTS": ["other"]}, Level.FAILURE, "Add 127.0.0.1 to ALLOWED_HOSTS."),
        ({"DEBUG": True}, Level.WARNING, "DEBUG is on"),
        ({"PUBLIC_URL": "http://cron.example.com"}, Level.WARNING, "clear text"),
        ({"SECRET_KEY": "short"}, Level.WARNING, "SECRET_KEY is short"),
        ({"WORKER_LEASE_SECONDS": 3}, Level.FAILURE, "WORKER_LEASE_SECONDS"),
        ({"EGRESS_ALLOW_CIDRS": [ipaddress.ip_network("0.0.0.0/0")]}, Level.WARNING, "0.0.0.0/0"),
        ({"EGRESS_ALLOW_CIDRS": [ipaddress.ip_network("::/0")]}, Level.WARNING, "::/0"),
    ],
)
def test_what_does_not_fit_is_named(settings: Settings, changed: dict[str, Any], level: Level, words: str) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    for name, value in changed.items():
        setattr(settings, name, value)
    finding = only(check_settings(NO_FILE))
    assert finding.level is level
    assert words in finding.line()


@pytest.mark.parametrize("url", ["https://cron.example.com", "http://localhost:1", "http://[::1]:8000"])
def test_https_and_loopback_are_in_order(settings: Settings, url: str) -> None:
    settings.ALLOWED_HOSTS, settings.PUBLIC_URL = ["*"], url
    assert only(check_settings(NO_FILE)).level is Level.OK


@pytest.mark.parametrize(("mode", "level"), [(0o600, Level.OK), (0o640, Level.WARNING), (0o604, Level.WARNING)])
def test_the_settings_file_is_for_its_owner_only(settings: Settings, tmp_path: Path, mode: int, level: Level) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    path = tmp_path / ".env"
    path.touch(mode=mode)
    path.chmod(mode)
    assert only(check_settings(path)).level is level


@pytest.mark.django_db
def test_values_that_no_key_opens_are_counted_and_named(settings: Settings) -> None:
    make_target(name="Lost", headers={"Authorization": "x"})
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    make_target(name="Fine")
    said: list[str] = []
    finding = check_keys(said.append)
    assert finding.level is Level.FAILURE
    assert "open 1 of 2 encrypted values; not headers of target Lost." in finding.sentence
    assert said == ["1 encrypted value opened"]


@pytest.mark.django_db
def test_values_under_an_older_key_are_worth_a_warning(settings: Settings) -> None:
    make_target()
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.FIELD_ENCRYPTION_KEYS]
    finding = check_keys(quiet)
    assert finding.level is Level.WARNING
    assert "rotate_secrets" in finding.remedy


@pytest.mark.django_db
def test_keys_that_open_everything_are_in_order() -> None:
    make_target()
    assert check_keys(quiet).level is Level.OK
