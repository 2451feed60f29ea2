"""Shorthands for the tests of the doctor."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID, uuid4

from scheduler_project.doctor.findings import Finding
from tests.factories import NOW
from worker.models import ProcessKind
from worker.presence import register


def only(findings: Iterable[Finding] | Finding) -> Finding:
    """The one finding that there is."""
    (finding,) = [findings] if isinstance(findings, Finding) else list(findings)
    return finding


def quiet(sentence: str) -> None:
    """Takes progress."""


def make_worker(*, lease: float = 30, kind: ProcessKind = ProcessKind.WORKER) -> UUID:
    """A worker whose lease ends so many seconds after NOW."""
    worker_id = uuid4()
    register(worker_id=worker_id, kind=kind, seats=10, lease_seconds=lease + 60, now=NOW - timedelta(seconds=60))
    return worker_id
