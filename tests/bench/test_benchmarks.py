"""Benchmarks are no part of the gate, but must not rot: everything imports, and the parts that decide are right."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from bench.__main__ import QUESTIONS, QUICK
from bench.account import TAKEN, settle
from bench.harness import table
from bench.question import Answer, Question, Sample, compare, percentile
from bench.target_server import json_body, request_end

BENCH = Path(__file__).resolve().parents[2] / "bench"
PEERS = {"celery_peer", "apscheduler_peer", "procrastinate_peer"}
AT_LEAST = Question("S1", "ours : theirs", 1.2)
AT_MOST = Question("S6", "ours : theirs", 0.2, at_least=False)


class Told:
    """A journal that remembers the order of the sides."""

    rounds = 3

    def __init__(self) -> None:
        self.ratios: list[float] = []

    def round_done(self, question: Question, number: int, samples: object, ratio: float) -> None:
        self.ratios.append(ratio)


@pytest.mark.parametrize("path", sorted(BENCH.glob("*.py")), ids=lambda path: path.stem)
def test_every_file_imports(path: Path) -> None:
    import_module(f"bench.{path.stem}")


@pytest.mark.parametrize("path", sorted((BENCH / "peers").glob("*.py")), ids=lambda path: path.stem)
def test_every_peer_compiles_and_has_its_pins(path: Path) -> None:
    compile(path.read_text(), str(path), "exec")
    if path.stem in PEERS:
        pins = (BENCH / "peers" / f"{path.stem.removesuffix('_peer')}.txt").read_text().splitlines()
        assert all("==" in line for line in pins if line and not line.startswith("#"))


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_question_has_its_name_and_a_way_to_answer(name: str) -> None:
    module = import_module(f"bench.{QUESTIONS[name]}")
    assert module.QUESTION.name == name
    assert callable(module.measure)


def test_all_goals_are_asked_for_and_the_quick_ones_are_among_them() -> None:
    wanted = [f"S{n}" for n in range(1, 12)] + [f"P{n}" for n in range(1, 5)] + ["A1", "A2"]
    assert sorted(QUESTIONS) == sorted(wanted)
    assert set(QUICK) <= set(QUESTIONS)


def test_the_command_lists_its_questions() -> None:
    command = [sys.executable, "-m", "bench", "--list"]
    told = subprocess.run(command, cwd=BENCH.parent, capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in told.splitlines()] == list(QUESTIONS)


def test_sides_take_turns_and_the_median_of_the_ratios_counts() -> None:
    order: list[str] = []
    values = iter([30.0, 10.0, 10.0, 10.0, 50.0, 100.0])

    def side(name: str) -> Sample:
        order.append(name)
        return Sample(next(values))

    told = Told()
    answer, _ = compare(told, AT_LEAST, {"ours": lambda: side("ours"), "theirs": lambda: side("theirs")})
    assert order == ["ours", "theirs"] * 3
    assert told.ratios == [3.0, 1.0, 0.5]
    assert answer.ratio == 1.0
    assert answer.values == {"ours": 30.0, "theirs": 10.0}


@pytest.mark.parametrize(
    ("question", "ratio", "verdict"),
    [
        (AT_LEAST, 1.2, "reached"),
        (AT_LEAST, 1.3, "reached"),
        (AT_LEAST, 0.9, "missed by 25%"),
        (AT_MOST, 0.2, "reached"),
        (AT_MOST, 0.3, "missed by 50%"),
    ],
)
def test_a_goal_is_reached_or_missed_by_so_much(question: Question, ratio: float, verdict: str) -> None:
    assert Answer(question, ratio, [ratio], {}).verdict == verdict


def test_a_second_condition_of_a_goal_can_miss_it() -> None:
    answer = Answer(AT_LEAST, 2.0, [2.0], {}, note="p50 20 ms", holds=False)
    assert not answer.reached
    assert answer.verdict == "missed: p50 20 ms"


def test_the_table_has_a_line_for_each_answer_and_each_failure() -> None:
    lines = table([Answer(AT_LEAST, 1.5, [1.5], {"ours": 3.0})], {"P1": "no redis"}).splitlines()
    assert lines[2] == "| S1 | ours : theirs | >= 1.2 | **1.50** (ours 3) | reached |"
    assert lines[3] == "| P1 | | | failed | no redis |"


@pytest.mark.parametrize(
    ("runs", "attempts", "calls"),
    [
        (["a"], ["a", "b"], ["a", "b"]),
        (["a", "b"], ["a"], ["a", "b"]),
        (["a", "b"], ["a", "b"], ["a"]),
        (["a", "b"], ["a", "b"], ["a", "a"]),
        (["a", "b"], ["a", "b"], ["a", "b", "b"]),
        (["a", "b"], ["a", "b"], ["a", "c"]),
    ],
)
def test_an_account_that_does_not_settle_is_an_error(runs: list[str], attempts: list[str], calls: list[str]) -> None:
    with pytest.raises(AssertionError, match="doesn't settle"):
        settle(due=2, runs=runs, attempts=attempts, calls=[(call, 0.0) for call in calls])
    assert not TAKEN.pop().exact


def test_an_account_settles_where_each_was_called_once() -> None:
    account = settle(due=2, runs=["a-a", "b"], attempts=["aa", "b"], calls=[("aa", 0.0), ("b", 0.0)])
    assert account.exact
    assert TAKEN.pop() == account


@pytest.mark.parametrize(("percent", "value"), [(50, 5), (99, 10), (100, 10), (1, 1)])
def test_percentiles_are_by_nearest_rank(percent: float, value: float) -> None:
    assert percentile(list(range(10, 0, -1)), percent) == value


@pytest.mark.parametrize("size", [0, 100, 20_480])
def test_bodies_have_the_size_that_was_asked_for(size: int) -> None:
    assert len(json_body(size)) == max(size, 24)


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 18),
        (b"GET / HTTP/1.1\r\n\r\nGET", 18),
        (b"GET / HTTP/1.1\r\n", 0),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nok", 40),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\no", 0),
    ],
)
def test_the_target_finds_the_end_of_a_request(data: bytes, end: int) -> None:
    assert request_end(data) == end
