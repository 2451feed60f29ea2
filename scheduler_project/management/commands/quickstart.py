"""`manage.py quickstart`: what `make run` runs. Prepares the database, then keeps web and worker up."""

from __future__ import annotations

import os
import socketserver
import sys
import time
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection

from scheduler_project import first_start
from scheduler_project.audit_trail import acting_as_command
from scheduler_project.env_file import BASE_DIR
from scheduler_project.first_start import Welcome
from scheduler_project.process_group import Child, ProcessGroup
from schedules.clock import database_now

HOST = "127.0.0.1"
DEFAULT_PORT = 8000
LOOPBACK = "127.0.0.0/8,::1/128"
# An earlier start that was killed a moment ago may still be letting go of the port.
BIND_SECONDS = 5.0
SPARE_SECONDS = 15.0


class Command(BaseCommand):
    """Start everything on this machine: web and one worker."""

    help = "Prepare the database and run web and worker on this machine (what `make run` does)."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to listen, and whether to go when our parent goes."""
        parser.add_argument("--port", default=os.environ.get("PORT") or str(DEFAULT_PORT), help="default: 8000")
        parser.add_argument(
            "--stop-with-parent", action="store_true", help="stop when the process that started this one is gone"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Take the port first: a second start must change nothing before it fails."""
        port = _read_port(options["port"])
        environment = _environment(port)
        if environment != os.environ:
            # The settings have been read without these values: begin again, as the same process, with them.
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606 - ourselves
        # Addresses, bodies and hashes of keys are in the database's file: nobody else on this machine needs to read it.
        os.umask(0o077)
        with _listen(port) as server:
            self._prepare(port)
            group = ProcessGroup(
                _children(server.fileno()),
                directory=BASE_DIR,
                environment=environment,
                grace_seconds=settings.WORKER_DRAIN_SECONDS + SPARE_SECONDS,
                say=self.stdout.write,
            )
            sys.exit(group.run(stop_with_parent=options["stop_with_parent"]))

    def _prepare(self, port: int) -> None:
        try:
            call_command("migrate", verbosity=0, interactive=False)
            now = database_now()
            with acting_as_command("quickstart"):
                first_start.prepare(port=port, now=now, show=lambda welcome: self._greet(welcome, port))
                first_start.follow_port(port=port, now=now)
        except DatabaseError as error:
            reason = str(error).strip().partition("\n")[0]
            raise CommandError(f"The database of DATABASE_URL can't be used: {reason}") from error
        except KeyboardInterrupt as stop:
            raise CommandError("Stopped before anything was started.") from stop
        finally:
            connection.close()

    def _greet(self, welcome: Welcome, port: int) -> None:
        lines = [f"API Scheduler on http://{HOST}:{port}/"]
        if welcome.password:
            lines.append(f"  Administrator   {welcome.username}   password   {welcome.password}")
        if welcome.api_key:
            lines.append(f"  API key         {welcome.api_key}")
        if welcome.password or welcome.api_key:
            lines.append("  Keep them now: they are shown only this once.")
        if welcome.no_demo:
            lines.append(f"  No demo: {welcome.no_demo}")
        lines += [
            f"  Admin           http://{HOST}:{port}/admin/",
            f"  Runs            http://{HOST}:{port}/admin/runs/run/",
            f"  API             http://{HOST}:{port}/docs",
            "Ctrl-C stops everything; the data stays.",
        ]
        self.stdout.write("\n".join(lines))
        self.stdout.flush()


def _read_port(value: str) -> int:
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= 65535:
        raise CommandError(f"PORT = {value!r}: must be a number from 1 to 65535, as in: make run PORT=8001")
    return int(value)


class _Listener(socketserver.TCPServer):
    """A bound, listening socket, for gunicorn to inherit: it stays ours while gunicorn restarts."""

    allow_reuse_address = True
    request_queue_size = 256


def _listen(port: int) -> _Listener:
    deadline = time.monotonic() + BIND_SECONDS
    while True:
        try:
            return _Listener((HOST, port), socketserver.BaseRequestHandler)
        except OSError as error:
            if time.monotonic() > deadline or isinstance(error, PermissionError):
                raise CommandError(
                    f"Port {port} can't be used ({error.strerror}): stop what holds it, or choose another port, "
                    f"as in: make run PORT={8001 if port != 8001 else 8002}"
                ) from error
            time.sleep(0.25)


def _children(listener: int) -> list[Child]:
    gunicorn = [sys.executable, "-m", "gunicorn", "--bind", f"fd://{listener}", "--log-level", "warning"]
    worker = [sys.executable, "manage.py", "runscheduler"]
    return [Child("web", gunicorn, keep_fds=(listener,)), Child("worker", worker)]


def _environment(port: int) -> dict[str, str]:
    """Our environment with what a start on one machine needs besides; what the user has set stays."""
    # Without loopback, the demo's calls to the service itself would be refused.
    defaults = {"PUBLIC_URL": f"http://{HOST}:{port}", "EGRESS_ALLOW_CIDRS": LOOPBACK, "PYTHONUNBUFFERED": "1"}
    return {**defaults, **os.environ}
