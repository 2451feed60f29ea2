"""CPU of calls to hosts that are new to the process: the worker's executor, or a new `requests` session for each.

    BENCH_AUTHORITY=authority.pem python -m bench.cold_calls executor|requests URL URL ...

Prints one line of JSON: milliseconds of CPU per call, all threads of the process. The first two calls are not counted:
they load modules.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

UNCOUNTED = 2


def main() -> None:
    """See the top of this file."""
    who, *urls = sys.argv[1:]
    authority = Path(os.environ["BENCH_AUTHORITY"])
    with tempfile.TemporaryDirectory() as directory:
        call = {"executor": _executor, "requests": _requests}[who](authority, Path(directory))
        for url in urls[:UNCOUNTED]:
            call(url)
        before = time.process_time()
        for url in urls[UNCOUNTED:]:
            call(url)
        cpu = time.process_time() - before
    print(json.dumps({"calls": len(urls) - UNCOUNTED, "cpu_ms": 1000 * cpu / (len(urls) - UNCOUNTED)}))


def _executor(authority: Path, directory: Path) -> Callable[[str], None]:
    # An operator's own authority, as the system's store has it.
    os.environ["SSL_CERT_FILE"] = str(authority)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scheduler_project.settings")
    import django

    django.setup()
    from targets.egress_settings import egress_policy
    from targets.request_spec import RequestSpec
    from worker.executor import Executor

    executor = Executor(egress_policy(), threads=1)

    def call(url: str) -> None:
        request = RequestSpec(
            method="GET",
            url=url,
            headers={},
            body=None,
            timeout_seconds=30,
            connect_timeout_seconds=10,
            follow_redirects=False,
            verify_tls=True,
            expected_status="200-299",
            response_must_contain=None,
        )
        outcome = executor.execute(request)
        if outcome.status_code != 200:
            raise AssertionError(outcome.error_message)

    return call


def _requests(authority: Path, directory: Path) -> Callable[[str], None]:
    import certifi
    import requests

    # What certifi has, and the target's authority: a stock client reads a file of this size for each new session.
    bundle = directory / "bundle.pem"
    bundle.write_bytes(Path(certifi.where()).read_bytes() + b"\n" + authority.read_bytes())

    def call(url: str) -> None:
        with requests.Session() as session:
            session.get(url, verify=str(bundle)).raise_for_status()

    return call


if __name__ == "__main__":
    main()
