"""`manage.py create_api_key`."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone

from access.keys import find_key
from access.models import ApiKey
from scheduler_project.env_file import BASE_DIR


def run(*args: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("create_api_key", *args, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@pytest.mark.django_db
def test_it_prints_the_key_alone() -> None:
    out, err = run("--name", "CI")
    assert out.endswith("\n")
    assert find_key(text=out.strip(), now=timezone.now(), address="").name == "CI"
    assert "not shown again" in err


@pytest.mark.django_db
def test_it_gives_all_scopes_but_admin() -> None:
    run("--name", "CI")
    assert ApiKey.objects.get().scopes == ["read", "write", "run"]


@pytest.mark.django_db
def test_it_takes_scopes_and_an_end() -> None:
    _, err = run("--name", "CI", "--scopes", "read, run", "--expires-in-days", "30")
    key = ApiKey.objects.get()
    assert key.scopes == ["read", "run"]
    assert key.expires_at is not None
    assert timedelta(days=29) < key.expires_at - timezone.now() <= timedelta(days=30)
    assert f"{key.expires_at:%Y-%m-%d}" in err


@pytest.mark.django_db
def test_it_takes_networks() -> None:
    _, err = run("--name", "CI", "--cidrs", "10.0.0.0/8, 192.0.2.7")
    assert ApiKey.objects.get().cidrs == ["10.0.0.0/8", "192.0.2.7/32"]
    assert "from 10.0.0.0/8, 192.0.2.7/32" in err


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "--name"),
        (["--name", " "], "name"),
        (["--name", "x", "--scopes", "root"], "unknown scope 'root'"),
        (["--name", "x", "--scopes", ","], "no scope"),
        (["--name", "x", "--cidrs", "10.0.0.0/8,home"], "'home' is neither an address nor a CIDR block"),
        (["--name", "x", "--expires-in-days", "0"], "from 1 to"),
        (["--name", "x", "--expires-in-days", "999999999"], "from 1 to"),
        (["--name", "x", "--expires-in-days", "soon"], "invalid int"),
    ],
)
def test_it_says_what_is_wrong_and_makes_nothing(args: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        run(*args)
    assert not ApiKey.objects.exists()


@pytest.mark.django_db
def test_it_names_the_remedy_when_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(**values: object) -> None:
        raise OperationalError("gone\n\tIs the server running?")

    monkeypatch.setattr(ApiKey.objects, "create", away)
    with pytest.raises(CommandError, match=r"\(gone\). Is it there, and migrated\?$"):
        run("--name", "x")


def test_as_a_program_it_separates_key_and_notes(database_url: str) -> None:
    command = [sys.executable, str(BASE_DIR / "manage.py"), "create_api_key", "--name", "shell"]
    environment = {**os.environ, "DATABASE_URL": database_url}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert find_key(text=done.stdout.strip(), now=timezone.now(), address="").name == "shell"
    refused = subprocess.run(
        [*command, "--scopes", "root"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("CommandError: unknown scope 'root'")
