"""Container health check: exit code 0 if the web answers that it is healthy or degraded, else 1 and the reason."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request

TIMEOUT_SECONDS = 4


def check(url: str, *, host: str) -> str:
    """Ask once; returns what is wrong, or nothing.

    Args:
        url: the service's health address.
        host: a name out of ALLOWED_HOSTS, which the service insists on.
    """
    request = urllib.request.Request(url, headers={"Host": host})  # noqa: S310 - http, our own
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310
            return ""
    except urllib.error.HTTPError as answer:
        with answer:
            return f"{url} answered {answer.code}"
    except OSError as error:
        return f"{url} doesn't answer: {error}"


def first_allowed_host(setting: str) -> str:
    """A host that ALLOWED_HOSTS admits; `.example.com` admits `example.com`, `*` and the default admit 127.0.0.1."""
    first = setting.split(",", maxsplit=1)[0].strip().removeprefix(".")
    return first if first not in ("", "*") else "127.0.0.1"


if __name__ == "__main__":
    sys.exit(
        check("http://127.0.0.1:8000/api/v1/health", host=first_allowed_host(os.environ.get("ALLOWED_HOSTS", ""))) or 0
    )
