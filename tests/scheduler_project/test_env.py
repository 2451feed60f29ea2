"""Readers of settings: good values in, one line and an exit for bad ones."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scheduler_project import env
from scheduler_project.env_file import BASE_DIR

NAME = "SOME_SETTING"
KEY = "mO8eBzXUzBzDkq1hp3XzFq3Xg6lUuS1m8T7JfXbq1pY="
MADE_UP_KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
LONG_KEY = "a long key, as a human being would type it: quite all right 42"
ZONE = ("UTC",)

GOOD: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], str, Any]] = [
    (env.read_text, ("default",), {}, "", "default"),
    (env.read_text, ("default",), {}, "  value ", "value"),
    (env.read_bool, (True,), {}, "", True),
    (env.read_bool, (True,), {}, "off", False),
    (env.read_bool, (False,), {}, "TRUE", True),
    (env.read_number, (1,), {"low": 0, "high": 5}, "", 1.0),
    (env.read_number, (1,), {"low": 0, "high": 5}, "5", 5.0),
    (env.read_number, (1,), {"low": 0.05, "high": 5}, "0.05", 0.05),
    (env.read_integer, (1,), {"low": 0, "high": 5}, "0", 0),
    (env.read_days, (14,), {}, "", timedelta(days=14)),
    (env.read_days, (14,), {}, "0.5", timedelta(hours=12)),
    (env.read_days, (14,), {}, "OFF", None),
    (env.read_days, (400,), {"low": 30}, "30", timedelta(days=30)),
    (env.read_count, ("off",), {}, "", None),
    (env.read_count, ("off",), {}, "25", 25),
    (env.read_list, ("a,b",), {}, "", ["a", "b"]),
    (env.read_list, (), {}, " x ,, y", ["x", "y"]),
    (env.read_env_prefix, ("API_SCHEDULER_SECRET_",), {}, "", "API_SCHEDULER_SECRET_"),
    (env.read_env_prefix, ("API_SCHEDULER_SECRET_",), {}, "MY_", "MY_"),
    (env.read_folder, (), {}, "", None),
    (env.read_folder, (), {}, "/run/secrets", Path("/run/secrets")),
    (env.read_networks, (), {}, "", []),
    (env.read_networks, (), {}, "10.1.2.3/8", [ipaddress.ip_network("10.0.0.0/8")]),
    (env.read_networks, (), {}, "::1", [ipaddress.ip_network("::1/128")]),
    (env.read_fernet_keys, (), {"strict": True}, f"{KEY}, {KEY}", [KEY, KEY]),
    (env.read_fernet_keys, (), {"strict": False}, MADE_UP_KEY, [MADE_UP_KEY]),
    (env.read_secret_key, (), {"strict": True}, LONG_KEY, LONG_KEY),
    (env.read_secret_key, (), {"strict": False}, "short", "short"),
    (env.read_hosts, (), {}, "", []),
    (
        env.read_hosts,
        (),
        {},
        "DB.internal., ::1,[0::1], b\u00fccher.de",
        ["db.internal", "::1", "::1", "xn--bcher-kva.de"],
    ),
    (env.read_allowed_hosts, ("fd00::1,localhost",), {}, "", ["[fd00::1]", "localhost"]),
    (env.read_allowed_hosts, ("",), {}, "*, .Example.com,10.1.2.3,[::1]", ["*", ".Example.com", "10.1.2.3", "[::1]"]),
    (env.read_ports, (), {}, "1,65535", [1, 65535]),
    (env.read_time_zone, ZONE, {}, "Asia/Kolkata", "Asia/Kolkata"),
    (env.read_rate, ("1200/min",), {}, "", "1200/min"),
    (env.read_rate, ("1200/min",), {}, "off", None),
    (env.read_public_url, ("http://a",), {}, "https://api.example.com:8443/", "https://api.example.com:8443"),
]

BAD: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], str, str]] = [
    (env.read_text, (), {}, "", "is required; any `python manage.py` command generates it into .env"),
    (env.read_bool, (True,), {}, "maybe", "must be true or false"),
    *(
        (env.read_days, (14,), {}, value, "must be a number of days from 0.001 to 36500, or off: for ever")
        for value in ("0", "-1", "nan", "inf", "36501", "2 weeks", "none")
    ),
    *(
        (env.read_number, (1,), {"low": 0, "high": 5}, value, "must be a number from 0 to 5")
        for value in ("-1", "5.1", "nan", "inf", "five", "1,5", "1e999")
    ),
    *(
        (env.read_integer, (1,), {"low": 0, "high": 5}, value, "must be a whole number from 0 to 5")
        for value in ("-1", "6", "1.0", "", "1_0", "0x1", "٣", "9" * 5000)
        if value
    ),
    *(
        (env.read_secret_key, (), {"strict": True}, value, "must be at least 50 random characters here. Make one:")
        for value in ("short", "a" * 60, "abcd" * 20, f"django-insecure-{LONG_KEY}", LONG_KEY[:49])
    ),
    (env.read_fernet_keys, (), {"strict": True}, f"{KEY},{MADE_UP_KEY}", "key 2 of 2 is not random. Make one:"),
    (env.read_days, (400,), {"low": 30}, "29", "must be a number of days from 30 to 36500, or off: for ever"),
    *(
        (env.read_count, ("off",), {}, value, "must be a whole number from 1 to 999999999, or off")
        for value in ("0", "-1", "1.5", "many", "9" * 10)
    ),
    (env.read_networks, (), {}, "10.0.0.0/8,home", "must be a comma-separated list of addresses or CIDR blocks"),
    (env.read_networks, (), {}, "10.0.0.0/33", "must be a comma-separated list of addresses or CIDR blocks"),
    *(
        (env.read_hosts, (), {}, value, "must be a comma-separated list of host names")
        for value in ("http://db.internal", "db.internal:80", "*.internal", "127.1")
    ),
    *(
        (env.read_allowed_hosts, ("",), {}, value, "must be a comma-separated list of names without scheme or port")
        for value in ("https://example.com", "example.com:8000", "example.com/", "*.example.com", "a b", "[::1]:80")
    ),
    *(
        (env.read_env_prefix, ("X_",), {}, value, "must be 3 to 100 letters, digits and underscores")
        for value in ("A", "A-B-", "1AB", "A B", "x" * 101)
    ),
    *(
        (env.read_env_prefix, ("X_",), {}, value, "choose a prefix that no setting begins with")
        for value in ("SEC", "SECRET_", "SECRET_KEY", "FIELD_", "DATABASE_URL")
    ),
    (env.read_folder, (), {}, "secrets", "must be the absolute path of a folder"),
    *((env.read_ports, (), {}, value, "must be a comma-separated list of ports") for value in ("0", "65536", "http")),
    *(
        (env.read_time_zone, ZONE, {}, value, "must be an IANA time zone name, such as Europe/Berlin")
        for value in ("Mars/Base", "../etc/passwd", "/etc/localtime")
    ),
    *(
        (env.read_rate, ("off",), {}, value, "must be a rate such as 1200/min, or off")
        for value in ("fast", "0/min", "-1/min", "10/fortnight", "10")
    ),
    *(
        (env.read_public_url, ("http://a",), {}, value, "must be an absolute URL without a path")
        for value in ("example.com", "ftp://a", "http://", "http://a/b", "http://a?b", "http://a#b", "http://u@a",
                      "http://a:port", "http://a:0", "http://[::1")
    ),
]  # fmt: skip


def one_line(call: Callable[[], Any]) -> str:
    """The message with which a reader ends the process; it has to be a single line."""
    with pytest.raises(SystemExit) as stop:
        call()
    message = str(stop.value.code)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(("reader", "arguments", "limits", "value", "expected"), GOOD)
def test_a_reader_takes_a_good_value(
    reader: Callable[..., Any],
    arguments: tuple[Any, ...],
    limits: dict[str, Any],
    value: str,
    expected: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(NAME, value)
    assert reader(NAME, *arguments, **limits) == expected


@pytest.mark.parametrize(("reader", "arguments", "limits", "value", "remedy"), BAD)
def test_a_reader_refuses_a_bad_value_with_the_name_and_the_remedy(
    reader: Callable[..., Any],
    arguments: tuple[Any, ...],
    limits: dict[str, Any],
    value: str,
    remedy: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(NAME, value)
    message = one_line(lambda: reader(NAME, *arguments, **limits))
    assert message.startswith(f"Setting {NAME}")
    assert remedy in message


def test_it_takes_the_default_where_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    assert env.read_integer(NAME, 3, low=0, high=5) == 3


def test_a_refused_key_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, f"{KEY},not-a-key")
    message = one_line(lambda: env.read_fernet_keys(NAME, strict=False))
    assert "key 2 of 2 must be a Fernet key" in message
    assert "not-a-key" not in message


def test_a_list_of_keys_needs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, ",")
    assert "must have at least one key" in one_line(lambda: env.read_fernet_keys(NAME, strict=False))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///jobs.db", {"ENGINE": "django.db.backends.sqlite3", "NAME": "/tmp/jobs.db"}),
        ("sqlite:////tmp/jobs.db", {"ENGINE": "django.db.backends.sqlite3", "NAME": "/tmp/jobs.db"}),
        ("sqlite+aiosqlite:///jobs.db", {"ENGINE": "django.db.backends.sqlite3", "NAME": "/tmp/jobs.db"}),
        ("postgres://u:p%40q@h:5433/n", {"NAME": "n", "USER": "u", "PASSWORD": "p@q", "HOST": "h", "PORT": 5433}),
        ("postgresql+asyncpg://u@h/n", {"ENGINE": "django.db.backends.postgresql", "NAME": "n", "HOST": "h"}),
        ("POSTGRES://u@h/n", {"ENGINE": "django.db.backends.postgresql"}),
        ("postgres://h/n?sslmode=require", {"OPTIONS": {"sslmode": "require"}}),
        ("postgres://u@/n?host=%2Frun%2Fpg", {"HOST": "", "OPTIONS": {"host": "/run/pg"}}),
    ],
)
def test_a_database_url_means_what_it_says(url: str, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, url)
    config = env.read_database(NAME, "", base_dir=Path("/tmp"))
    assert {key: config[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("mysql://u:hidden@h/n", "must be sqlite:///file.db or postgres://user:password@host:5432/name"),
        ("jobs.db", "must be sqlite:///file.db or postgres://user:password@host:5432/name"),
        ("postgres://u:hidden@h", "must be sqlite:///file.db or postgres://user:password@host:5432/name"),
        ("postgres://u:hidden@h:port/n", "must be sqlite:///file.db or postgres://user:password@host:5432/name"),
        ("postgres://u:hidden@[::1/n", "must be sqlite:///file.db or postgres://user:password@host:5432/name"),
        ("postgres://u:hidden@h/n?pool=true", "only libpq's parameters may follow the ?"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite://:memory:", "must name a file"),
        ("sqlite:///no-such-folder/jobs.db", "the folder /tmp/no-such-folder doesn't exist; create it"),
    ],
)
def test_a_database_url_is_refused_without_showing_its_password(
    url: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, url)
    message = one_line(lambda: env.read_database(NAME, "", base_dir=Path("/tmp")))
    assert remedy in message
    assert "hidden" not in message


@pytest.mark.parametrize("url", ["https://u:hidden@h:1", "http://u:hidden@h", "u:hidden@h:3128"])
def test_a_proxy_url_is_refused_without_showing_its_password(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, url)
    message = one_line(lambda: env.read_proxy(NAME, resolves=False))
    assert message == f"Setting {NAME}: must be http://host:port or http://user:password@host:port"


def test_a_proxy_is_read_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    assert env.read_proxy(NAME, resolves=True) is None
    monkeypatch.setenv(NAME, "http://u:hidden@h:3128")
    proxy = env.read_proxy(NAME, resolves=True)
    assert proxy is not None
    assert (str(proxy), proxy.resolves, "hidden" in repr(proxy)) == ("h:3128", True, False)


@pytest.mark.parametrize("program", [["manage.py", "check"], ["-c", "import scheduler_project.wsgi"]])
@pytest.mark.parametrize(
    ("setting", "value"),
    [("DATABASE_URL", "mysql://h/n"), ("WORKER_LEASE_SECONDS", "3"), ("DEFAULT_TIMEOUT_SECONDS", "121")],
)
def test_a_bad_setting_stops_the_start_with_exactly_one_line(setting: str, value: str, program: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *program],
        cwd=BASE_DIR,
        env={**os.environ, setting: value},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"Setting {setting} = ")


@pytest.mark.parametrize(
    ("public_url", "debug", "expected"),
    [
        ("https://scheduler.example.com", False, True),
        ("http://10.0.0.5:8000", False, True),
        ("https://scheduler.example.com", True, False),
        ("http://127.0.0.1:8000", False, False),
        ("http://127.8.8.8", False, False),
        ("http://[::1]:8000", False, False),
        ("http://localhost:8000", False, False),
        ("http://scheduler.localhost", False, False),
        ("http://localhost.example.com", False, True),
    ],
)
def test_production_is_what_others_reach_without_debug(public_url: str, debug: bool, expected: bool) -> None:
    assert env.is_production(public_url, debug=debug) is expected


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        ({"SECRET_KEY": "changeme"}, "SECRET_KEY"),
        ({"SECRET_KEY": ""}, "SECRET_KEY"),
        ({"FIELD_ENCRYPTION_KEYS": ""}, "FIELD_ENCRYPTION_KEYS"),
        ({"FIELD_ENCRYPTION_KEYS": MADE_UP_KEY}, "FIELD_ENCRYPTION_KEYS"),
    ],
)
def test_production_starts_with_no_weak_key(settings: dict[str, str], refused: str) -> None:
    production = {
        "PUBLIC_URL": "https://scheduler.example.com",
        "API_SCHEDULER_ENV_FILE": "/dev/null",
        "DEBUG": "false",
    }
    done = subprocess.run(
        [sys.executable, "-c", "import scheduler_project.wsgi"],
        cwd=BASE_DIR,
        env={**os.environ, **production, **settings},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"Setting {refused}: ")
    assert "changeme" not in done.stderr
