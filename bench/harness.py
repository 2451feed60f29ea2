"""Runs questions one after the other, says what goes on, and keeps every round as a line of JSON."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from bench.account import TAKEN
from bench.question import Answer, Question, Sample
from bench.stage import Stage


class QuestionModule(Protocol):
    """A file of this folder that asks a question."""

    QUESTION: Question

    def measure(self, bench: Bench) -> Answer:
        """Answer it."""


class Bench:
    """What questions are given: the stage, the sizes, and where rounds are told."""

    def __init__(self, stage: Stage, *, rounds: int, scale: float, results: Path, as_json: bool) -> None:
        self.stage = stage
        self.rounds = rounds
        self.answers: list[Answer] = []
        self.failures: dict[str, str] = {}
        self._scale = scale
        self._as_json = as_json
        self._began = time.monotonic()
        results.parent.mkdir(parents=True, exist_ok=True)
        self._results = results.open("a", encoding="utf-8")

    def size(self, full: int, *, least: int = 100) -> int:
        """A number of rows or calls, scaled as the command line says."""
        return max(min(least, full), round(full * self._scale))

    def ask(self, module: QuestionModule) -> None:
        """Answer one question; one that fails doesn't keep the others from being asked."""
        question = module.QUESTION
        self.say(f"{question.name}: {question.ratio}, goal {_goal(question)}")
        try:
            answer = module.measure(self)
        except Exception as error:
            traceback.print_exc()
            self.failures[question.name] = f"{type(error).__name__}: {error}"
            self.write({"question": question.name, "failed": self.failures[question.name]})
            return
        self.answers.append(answer)
        self.write(
            {
                "question": question.name,
                "ratio": round(answer.ratio, 3),
                "goal": question.goal,
                "at_least": question.at_least,
                "reached": answer.reached,
                "verdict": answer.verdict,
                "ratios": [round(ratio, 3) for ratio in answer.ratios],
                "medians": {name: round(value, 4) for name, value in answer.values.items()},
                "note": answer.note,
            }
        )
        self.say(f"{question.name}: {answer.ratio:.2f} ({answer.verdict}) {answer.note}")

    def round_done(self, question: Question, number: int, samples: Mapping[str, Sample], ratio: float) -> None:
        """See `bench.question.Journal`."""
        sides = ", ".join(f"{name} {sample.value:.4g}" for name, sample in samples.items())
        self.say(f"{question.name}  round {number}: {sides}; ratio {ratio:.3f}")
        for name, sample in samples.items():
            self.write(
                {"question": question.name, "round": number, "side": name, "value": sample.value, **sample.detail}
            )

    def say(self, text: str) -> None:
        """Progress, on standard error."""
        print(f"[{time.monotonic() - self._began:6.1f} s] {text}", file=sys.stderr, flush=True)

    def write(self, line: Mapping[str, Any]) -> None:
        """One line of JSON into the results, and on standard output if asked for."""
        text = json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds"), **line})
        print(text, file=self._results, flush=True)
        if self._as_json:
            print(text, flush=True)

    def write_conditions(self) -> None:
        """The machine and the versions that the numbers are from."""
        version = self.stage.postgres("conditions").rows("SHOW server_version")[0][0]
        self.write({"conditions": {**conditions(), "postgresql": version}})

    def write_accounts(self) -> None:
        """S11: whether every drain so far has settled."""
        exact = sum(account.exact for account in TAKEN)
        self.write(
            {"question": "S11", "drains": len(TAKEN), "exact": exact, "last": asdict(TAKEN[-1]) if TAKEN else None}
        )


def conditions() -> dict[str, Any]:
    """The machine, as far as it matters."""
    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": model or platform.machine(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def table(answers: Sequence[Answer], failures: Mapping[str, str]) -> str:
    """The Markdown table of all answers."""
    lines = ["| | ratio | goal | measured | |", "|---|---|---|---|---|"]
    for answer in answers:
        question = answer.question
        medians = ", ".join(f"{name} {value:.4g}" for name, value in answer.values.items())
        measured = f"**{answer.ratio:.2f}** ({medians})"
        lines.append(f"| {question.name} | {question.ratio} | {_goal(question)} | {measured} | {answer.verdict} |")
    lines += [f"| {name} | | | failed | {message.splitlines()[0][:200]} |" for name, message in failures.items()]
    return "\n".join(lines)


def _goal(question: Question) -> str:
    return f"{'>=' if question.at_least else '<='} {question.goal:g}"
