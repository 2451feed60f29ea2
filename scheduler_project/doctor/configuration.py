"""Do the settings fit together, and do the keys open what is stored?"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import validate_host

from scheduler_project.doctor.findings import Finding, failure, named, ok, warning
from scheduler_project.env import is_loopback
from targets.counted import counted
from targets.rotation import Rotated, rotate_batches
from targets.secrets import Undecryptable

LEAST_SECRET = 50


def check_settings(env_file: Path) -> Iterator[Finding]:
    """Everything that is not in order, or that all of it is."""
    found = [*_web(), *_worker(), *_egress(), *_file(env_file)]
    yield from found or [ok("settings", "They fit together.")]


def _web() -> Iterator[Finding]:
    public = urlsplit(settings.PUBLIC_URL)
    host = public.hostname or ""
    if not validate_host(f"[{host}]" if ":" in host else host, settings.ALLOWED_HOSTS):
        yield failure(
            "settings",
            f"PUBLIC_URL's host {host} is not in ALLOWED_HOSTS: the web answers 400 to people who use it.",
            f"Add {host} to ALLOWED_HOSTS.",
        )
    if settings.DEBUG:
        yield warning(
            "settings",
            "DEBUG is on: error pages show settings and code to anybody.",
            "Unset DEBUG outside development.",
        )
    if public.scheme == "http" and not is_loopback(host):
        yield warning(
            "settings",
            f"PUBLIC_URL is http://{host}: keys and sessions travel in clear text.",
            "Put TLS in front, and set PUBLIC_URL to https://...",
        )
    if len(settings.SECRET_KEY) < LEAST_SECRET:
        yield warning("settings", "SECRET_KEY is short.", f"Use at least {LEAST_SECRET} random characters.")


def _worker() -> Iterator[Finding]:
    if settings.WORKER_LEASE_SECONDS < 4 * settings.WORKER_POLL_SECONDS:
        yield failure(
            "settings",
            "WORKER_LEASE_SECONDS is below 4 * WORKER_POLL_SECONDS: live workers could be taken for dead.",
            "Raise the lease or lower the poll.",
        )


def _egress() -> Iterator[Finding]:
    wide = [str(network) for network in settings.EGRESS_ALLOW_CIDRS if network.prefixlen == 0]
    if wide:
        yield warning(
            "settings",
            f"EGRESS_ALLOW_CIDRS has {named(wide)}: schedules may call every private address.",
            "Name only the networks that are meant.",
        )


def _file(env_file: Path) -> Iterator[Finding]:
    if env_file.is_file() and env_file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield warning("settings", f"Others may read {env_file}, which holds keys.", f"chmod 600 {env_file}")


def check_keys(say: Callable[[str], None]) -> Finding:
    """Whether FIELD_ENCRYPTION_KEYS open everything that is stored encrypted, and which of them it needs."""
    found = Rotated()
    for batch in rotate_batches(dry_run=True):
        found.add(batch)
        say(f"{counted(found.opened, 'encrypted value')} opened")
    total = counted(found.opened + len(found.unreadable), "encrypted value")
    if found.unreadable:
        return failure(
            "keys",
            f"FIELD_ENCRYPTION_KEYS open {found.opened:,} of {total}; not {named(found.unreadable)}. "
            "Runs that need those fail.",
            Undecryptable.REMEDY,
        )
    if found.rotated:
        return warning(
            "keys",
            f"FIELD_ENCRYPTION_KEYS open {total}, {found.rotated:,} of them with an older key than the first.",
            "Run `manage.py rotate_secrets` before you take an older key out.",
        )
    return ok("keys", f"The first of FIELD_ENCRYPTION_KEYS opens {total}.")
