from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, get_ident
from time import monotonic

import pytest

from scheduler_project.bounded_probe import BoundedProbe

LONG = 30.0


class Counter:
    """A read that counts how often it was asked."""

    def __init__(self, before: Callable[[], object] = lambda: None) -> None:
        self.asked = 0
        self._before = before

    def __call__(self) -> int:
        self.asked += 1
        asked = self.asked
        self._before()
        return asked


def answer_after_the_last(probe: BoundedProbe[int]) -> int | None:
    """What it answers when no question is on its way; None where that took too long."""
    for thread in threading.enumerate():
        if thread.name == "bounded-probe":
            thread.join(LONG)
    try:
        return probe()
    except TimeoutError:
        return None


def test_it_gives_what_was_read() -> None:
    assert BoundedProbe(lambda: "fine", deadline_seconds=LONG)() == "fine"


def test_it_reads_in_another_thread() -> None:
    assert BoundedProbe(get_ident, deadline_seconds=LONG)() != get_ident()


def test_an_answer_serves_while_it_is_fresh() -> None:
    probe = BoundedProbe(Counter(), deadline_seconds=LONG, fresh_seconds=LONG)
    assert [probe(), probe()] == [1, 1]


def test_a_stale_answer_is_read_anew() -> None:
    probe = BoundedProbe(Counter(), deadline_seconds=LONG, fresh_seconds=0)
    assert [probe(), probe()] == [1, 2]


def test_an_error_is_raised_where_it_was_asked_for_and_asked_again_at_once() -> None:
    answers = iter([ConnectionError("away"), None])

    def read() -> str:
        error = next(answers)
        if error:
            raise error
        return "back"

    probe = BoundedProbe(read, deadline_seconds=LONG, fresh_seconds=LONG)
    with pytest.raises(ConnectionError, match="away"):
        probe()
    assert probe() == "back"


def test_what_never_answers_ends_at_the_deadline() -> None:
    release = Event()
    probe = BoundedProbe(lambda: release.wait(LONG), deadline_seconds=0.05)
    with pytest.raises(TimeoutError):
        probe()
    release.set()


def test_while_a_question_is_stuck_nobody_waits_again_and_no_second_one_is_asked() -> None:
    release = Event()
    read = Counter(before=lambda: release.wait(LONG))
    probe = BoundedProbe(read, deadline_seconds=0.2, fresh_seconds=0)
    with pytest.raises(TimeoutError):
        probe()
    began = monotonic()
    for _ in range(50):
        with pytest.raises(TimeoutError):
            probe()
    assert monotonic() - began < 5  # 50 deadlines would be 10 seconds
    assert read.asked == 1
    release.set()


def test_it_asks_again_once_the_stuck_question_is_answered() -> None:
    release = Event()
    read = Counter(before=lambda: release.wait(LONG))
    probe = BoundedProbe(read, deadline_seconds=0.05, fresh_seconds=0)
    with pytest.raises(TimeoutError):
        probe()
    release.set()
    answers = (answer_after_the_last(probe) for _ in range(100))
    assert next(answer for answer in answers if answer) > 1


def test_requests_at_the_same_time_share_one_question() -> None:
    release = Event()
    read = Counter(before=lambda: release.wait(LONG))
    probe = BoundedProbe(read, deadline_seconds=LONG, fresh_seconds=LONG)
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(probe) for _ in range(8)]
        release.set()
        assert {answer.result() for answer in answers} == {1}
    assert read.asked == 1
