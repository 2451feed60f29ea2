"""Fakes for the tests of the worker: an executor that plays a script, a clock that tests move, a faulty database."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from runs.outcome import ErrorType, Outcome
from runs.tickets import Ticket
from targets.request_draft import Sendable
from targets.request_spec import RequestSpec
from tests.factories import NOW
from worker.config import RunMode, WorkerConfig
from worker.loop import Worker

SUCCESS = Outcome(ErrorType.NONE, latency_ms=5, status_code=200, response_body="ok", response_size_bytes=2)
UNAVAILABLE = Outcome(ErrorType.SERVER_ERROR, "The target answered 503.", latency_ms=5, status_code=503)
SOON = 5.0


class Monotonic:
    """A monotonic clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.value = 1000.0

    def __call__(self) -> float:
        return self.value

    def pass_seconds(self, seconds: float) -> None:
        self.value += seconds


class ScriptedExecutor:
    """Answers every call with `outcome`, after `open_gate` where the gate is closed; asks for leave to send."""

    def __init__(self, outcome: Outcome = SUCCESS, *, gate_open: bool = True) -> None:
        self.outcome = outcome
        self.requests: list[Sendable] = []
        self.begun = threading.Semaphore(0)
        self._gate = threading.Event()
        if gate_open:
            self.open_gate()

    def open_gate(self) -> None:
        self._gate.set()

    def close_gate(self) -> None:
        self._gate.clear()

    def execute(self, request: Sendable, *, may_send: Callable[[], bool]) -> Outcome:
        self.begun.release()
        self._gate.wait(SOON)
        if not may_send():
            return Outcome(ErrorType.NONE, withheld=True)
        self.requests.append(request)
        return self.outcome


def make_config(**fields: Any) -> WorkerConfig:
    """Two seats, defaults for the rest."""
    values = {"poll_seconds": 1, "lease_seconds": 30, "drain_seconds": 25, "seats": 2, "mode": RunMode.FOREVER}
    return WorkerConfig(**{**values, **fields})


def settle(worker: Worker, calls: int = 1) -> None:
    """Wait until that many calls have ended, so that the next tick records them."""
    collected = 0
    while collected < calls:
        finished = worker.pool.collect(timeout=SOON)
        assert finished, "no call ended"
        worker.recorder.keep(finished)
        collected += len(finished)


def make_request(url: str = "http://127.0.0.1:9/orders") -> RequestSpec:
    """A GET that nobody sends."""
    return RequestSpec("GET", url, {}, None, 5, 5, False, True, "200-299", None)


def make_ticket(**fields: Any) -> Ticket:
    """A ticket for a Run that exists only in the test's mind."""
    values = {
        "run_id": uuid.uuid4(),
        "attempt_id": uuid.uuid4(),
        "attempt_number": 1,
        "token": 1,
        "worker_id": uuid.uuid4(),
        "target_id": uuid.uuid4(),
        "schedule_id": None,
        "due_at": NOW,
        "request": make_request(),
    }
    return Ticket(**{**values, **fields})


def every(_statement_or_values: object) -> bool:
    """All of them."""
    return True


@contextmanager
def failing_database(
    error: Exception, *, when: Callable[[str], bool] = every, when_values: Callable[[object], bool] = every
) -> Iterator[None]:
    """This thread's statements for which `when` and `when_values` hold raise `error` instead."""

    def fail(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if when(sql) and when_values(params):
            raise error
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail):
        yield
