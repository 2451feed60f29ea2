"""Typed readers for settings: a bad value stops the start with one line that names it and the remedy."""

from __future__ import annotations

import base64
import ipaddress
import math
import os
import re
import sys
import zoneinfo
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import parse_qsl, urlsplit

import environ
import psycopg
from cryptography.fernet import Fernet
from psycopg import conninfo

from targets.egress import UrlProblem, normal_host
from targets.egress_proxy import EgressProxy, parse_proxy_url

ENGINES = {
    "sqlite": "django.db.backends.sqlite3",
    "postgres": "django.db.backends.postgresql",
    "postgresql": "django.db.backends.postgresql",
}
MEMORY = ":memory:"
# A minute and a half: so short only for trials.
LEAST_DAYS = 0.001
MOST_DAYS = 36_500
# Django's own measure of a SECRET_KEY (check security.W009).
LEAST_KEY_CHARACTERS = 50
LEAST_KEY_VARIETY = 5
PLACEHOLDER_KEY = "django-insecure-"
# Thirty-two random bytes are never so alike.
LEAST_FERNET_VARIETY = 12
NEW_FERNET_KEY = "Make one: python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
NEW_KEY = "Make one: python -c 'import secrets; print(secrets.token_urlsafe(50))'"
# What targets must not be able to ask for by the name of a variable.
PRIVATE_SETTINGS = ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "DATABASE_URL")
# What a Host header can be compared with: Django knows no more of it (django.http.request.host_validation_re).
ALLOWED_HOST = re.compile(r"\*|\.?[A-Za-z0-9-][A-Za-z0-9.-]*|\[[A-Fa-f0-9:.]+\]")
RATE = re.compile(r"[1-9][0-9]{0,8}/(s|sec|second|min|minute|hour|day)")


def refuse(name: str, value: str, remedy: str) -> NoReturn:
    """Stop the process with one line on standard error."""
    shown = f" = {value!r}" if value else ""
    sys.exit(f"Setting {name}{shown}: {remedy}")


def read_text(name: str, default: str | None = None) -> str:
    """The setting as text; a setting without a default must be present."""
    value = os.environ.get(name, "").strip()
    if value:
        return value
    if default is None:
        refuse(name, "", "is required; any `python manage.py` command generates it into .env")
    return default


def read_bool(name: str, default: bool) -> bool:
    """`true` or `false` (also 1/0, yes/no, on/off)."""
    value = read_text(name, str(default)).lower()
    if value in ("true", "1", "yes", "on"):
        return True
    if value in ("false", "0", "no", "off"):
        return False
    refuse(name, value, "must be true or false")


def read_number(name: str, default: float, *, low: float, high: float) -> float:
    """A finite number within `low`..`high`, both allowed."""
    value = read_text(name, str(default))
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        refuse(name, value, f"must be a number from {low:g} to {high:g}")
    return number


def read_integer(name: str, default: int, *, low: int, high: int) -> int:
    """A whole number within `low`..`high`, both allowed."""
    value = read_text(name, str(default))
    if not re.fullmatch(r"-?[0-9]{1,12}", value) or not low <= int(value) <= high:
        refuse(name, value, f"must be a whole number from {low} to {high}")
    return int(value)


def read_count(name: str, default: str) -> int | None:
    """A whole number from 1, or `off`, which is None."""
    value = read_text(name, default).lower()
    if value == "off":
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,8}", value):
        refuse(name, value, "must be a whole number from 1 to 999999999, or off")
    return int(value)


def read_days(name: str, default: float, *, low: float = LEAST_DAYS) -> timedelta | None:
    """A number of days from `low`, fractions allowed, or `off`, which is None."""
    value = read_text(name, str(default))
    if value.lower() == "off":
        return None
    try:
        days = float(value)
    except ValueError:
        days = math.nan
    if not low <= days <= MOST_DAYS:
        refuse(name, value, f"must be a number of days from {low:g} to {MOST_DAYS}, or off: for ever")
    return timedelta(days=days)


def read_list(name: str, default: str = "") -> list[str]:
    """Comma-separated values, blanks dropped."""
    return [item.strip() for item in read_text(name, default).split(",") if item.strip()]


def read_networks(name: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Comma-separated CIDR blocks or single addresses."""
    networks = []
    for item in read_list(name):
        try:
            networks.append(ipaddress.ip_network(item, strict=False))
        except ValueError:
            refuse(name, item, "must be a comma-separated list of addresses or CIDR blocks, such as 10.0.0.0/8")
    return networks


def read_hosts(name: str) -> list[str]:
    """Comma-separated host names or addresses, in the spelling in which URLs are judged."""
    hosts = []
    for item in read_list(name):
        try:
            hosts.append(normal_host(f"[{item}]" if ":" in item and not item.startswith("[") else item))
        except UrlProblem:
            refuse(name, item, "must be a comma-separated list of host names, such as db.internal,localhost")
    return hosts


def read_allowed_hosts(name: str, default: str) -> list[str]:
    """Comma-separated names that the web answers to, as Django compares them; IPv6 addresses get their brackets."""
    hosts = [f"[{item}]" if item.count(":") > 1 and item[0] != "[" else item for item in read_list(name, default)]
    for host in hosts:
        if not ALLOWED_HOST.fullmatch(host):
            refuse(name, host, "must be a comma-separated list of names without scheme or port, or *")
    return hosts


def read_fernet_keys(name: str, *, strict: bool) -> list[str]:
    """Comma-separated Fernet keys, at least one; a key itself is never shown. `strict` refuses made-up ones."""
    keys = read_list(name, read_text(name))
    for place, key in enumerate(keys, start=1):
        try:
            Fernet(key)
        except ValueError:
            refuse(
                name, "", f"key {place} of {len(keys)} must be a Fernet key: 32 bytes in URL-safe base64, 44 characters"
            )
        if strict and len(set(base64.urlsafe_b64decode(key))) < LEAST_FERNET_VARIETY:
            refuse(name, "", f"key {place} of {len(keys)} is not random. {NEW_FERNET_KEY}")
    if not keys:
        refuse(name, "", "must have at least one key")
    return keys


def read_secret_key(name: str, *, strict: bool) -> str:
    """The signing key; `strict` (production) refuses what Django calls insecure: short, monotonous or a placeholder."""
    key = read_text(name)
    weak = len(key) < LEAST_KEY_CHARACTERS or len(set(key)) < LEAST_KEY_VARIETY or key.startswith(PLACEHOLDER_KEY)
    if strict and weak:
        refuse(name, "", f"must be at least {LEAST_KEY_CHARACTERS} random characters here. {NEW_KEY}")
    return key


def is_production(public_url: str, *, debug: bool) -> bool:
    """Whether other machines reach this service: DEBUG is off and PUBLIC_URL's host isn't this machine itself."""
    return not debug and not is_loopback(urlsplit(public_url).hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine (RFC 6761, section 6.3)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def read_env_prefix(name: str, default: str) -> str:
    """The beginning of names of environment variables, never one of this service's own secret settings."""
    value = read_text(name, default)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{2,99}", value):
        refuse(name, value, "must be 3 to 100 letters, digits and underscores, such as API_SCHEDULER_SECRET_")
    exposed = [setting for setting in PRIVATE_SETTINGS if setting.startswith(value)]
    if exposed:
        refuse(name, value, f"would let targets read {exposed[0]}; choose a prefix that no setting begins with")
    return value


def read_folder(name: str) -> Path | None:
    """The absolute path of a folder; None where the setting is empty."""
    value = read_text(name, "")
    if not value:
        return None
    if not Path(value).is_absolute():
        refuse(name, value, "must be the absolute path of a folder, such as /run/secrets")
    return Path(value)


def read_ports(name: str) -> list[int]:
    """Comma-separated TCP ports."""
    ports = []
    for item in read_list(name):
        if not re.fullmatch(r"[0-9]{1,5}", item) or not 1 <= int(item) <= 65535:
            refuse(name, item, "must be a comma-separated list of ports from 1 to 65535")
        ports.append(int(item))
    return ports


def read_proxy(name: str, *, resolves: bool) -> EgressProxy | None:
    """The URL of an HTTP proxy; it may hold a password, so it is never shown."""
    value = read_text(name, "")
    try:
        return replace(parse_proxy_url(value), resolves=resolves) if value else None
    except ValueError as problem:
        refuse(name, "", str(problem))


def read_time_zone(name: str, default: str) -> str:
    """An IANA time zone name."""
    value = read_text(name, default)
    if value not in zoneinfo.available_timezones():
        refuse(name, value, "must be an IANA time zone name, such as Europe/Berlin")
    return value


def read_rate(name: str, default: str) -> str | None:
    """A throttle such as `1200/min`, or `off`."""
    value = read_text(name, default).lower()
    if value == "off":
        return None
    if not RATE.fullmatch(value):
        refuse(name, value, "must be a rate such as 1200/min, or off")
    return value


def read_public_url(name: str, default: str) -> str:
    """An absolute http(s) URL without path, as people reach this service."""
    value = read_text(name, default).rstrip("/")
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.path or parts.query or parts.fragment or parts.username:
        refuse(name, value, "must be an absolute URL without a path, such as https://scheduler.example.com")
    return value


def read_database(name: str, default: str, *, base_dir: Path) -> dict[str, Any]:
    """A database URL as Django's settings dictionary; relative SQLite paths are relative to `base_dir`.

    `sqlite+aiosqlite:///` and `postgresql+psycopg://` (any driver suffix) mean the same as without the suffix.
    """
    value = read_text(name, default)
    scheme, separator, rest = value.partition("://")
    kind = scheme.partition("+")[0].lower()
    remedy = "must be sqlite:///file.db or postgres://user:password@host:5432/name"
    if kind not in ENGINES or not separator:
        refuse(name, f"{scheme}://...", remedy)
    if kind == "sqlite":
        path = urlsplit(f"sqlite://{rest}").path.removeprefix("/")
        if not path or path == MEMORY:
            refuse(name, value, "must name a file (sqlite:///scheduler.db): web and worker share it")
        if not (base_dir / path).parent.is_dir():
            refuse(name, value, f"the folder {(base_dir / path).parent} doesn't exist; create it")
        return {"ENGINE": ENGINES[kind], "NAME": str(base_dir / path)}
    try:
        config = dict(environ.Env.db_url_config(f"postgres://{rest}"))
    except (ValueError, environ.ImproperlyConfigured):
        refuse(name, f"{scheme}://...", remedy)
    if not config.get("NAME"):
        refuse(name, f"{scheme}://...", remedy)
    # django-environ would leave Django's own options as strings there ("pool": "true" crashes): libpq's only.
    config["OPTIONS"] = dict(parse_qsl(urlsplit(f"postgres://{rest}").query))
    try:
        conninfo.make_conninfo("", **config["OPTIONS"])
    except psycopg.ProgrammingError:
        refuse(name, f"{scheme}://...", "only libpq's parameters may follow the ?, such as sslmode=require")
    return {**config, "ENGINE": ENGINES[kind]}
