"""Ask something that may never answer, and have an answer or an error within a deadline all the same."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock, Thread
from time import monotonic
from typing import Generic, TypeVar

from django.db import connections

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class _Question(Generic[Answer]):
    asked_at: float
    answer: Future[tuple[Answer, float]]


class BoundedProbe(Generic[Answer]):
    """Calls `read` in a thread of its own, on database connections of its own.

    A frozen or cut-off database hangs every statement sent to it, and no time-out of the client ends that soon; so the
    thread hangs, not the request. Only one question is on its way at a time, and an answer serves everybody for
    `fresh_seconds`: a flood of requests costs the database one connection per process, not one per request.
    """

    def __init__(self, read: Callable[[], Answer], *, deadline_seconds: float = 2, fresh_seconds: float = 1) -> None:
        self._read = read
        self._deadline = deadline_seconds
        self._fresh = fresh_seconds
        self._lock = Lock()
        self._question: _Question[Answer] | None = None

    def __call__(self) -> Answer:
        """What `read` returns, at most `fresh_seconds` old.

        Raises:
            TimeoutError: no answer within `deadline_seconds` of asking.
            Exception: whatever `read` raises.
        """
        with self._lock:
            if self._question is None or self._is_stale(self._question):
                self._question = self._ask_anew()
            question = self._question
        left = question.asked_at + self._deadline - monotonic()
        return question.answer.result(timeout=max(left, 0))[0]

    def _ask_anew(self) -> _Question[Answer]:
        question: _Question[Answer] = _Question(monotonic(), Future())
        Thread(target=self._ask, args=(question.answer,), daemon=True, name="bounded-probe").start()
        return question

    def _is_stale(self, question: _Question[Answer]) -> bool:
        if not question.answer.done():
            return False
        if question.answer.exception() is not None:
            return True
        return monotonic() - question.answer.result()[1] >= self._fresh

    def _ask(self, answer: Future[tuple[Answer, float]]) -> None:
        try:
            try:
                found = self._read()
            finally:
                connections.close_all()
        except Exception as error:
            # It is raised again where the answer is awaited.
            answer.set_exception(error)
        else:
            answer.set_result((found, monotonic()))
