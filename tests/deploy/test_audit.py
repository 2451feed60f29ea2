"""`make audit`: an answer, or the plain statement that there is none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deploy import audit

Done = subprocess.CompletedProcess[str]
TABLE = "Name  Version ID             Fix Versions\nflask 0.5     PYSEC-2019-179 1.0\n"


def answered(code: int, out: str = "", err: str = "") -> Done:
    return Done([], code, out, err)


def run(monkeypatch: pytest.MonkeyPatch, *answers: Done) -> int:
    """What the command exits with, given what the tools answer: the installation first, then a lock at a time."""
    waiting = list(answers)
    monkeypatch.setattr("venv.create", lambda *_, **__: None)
    monkeypatch.setattr(audit, "_run", lambda _: waiting.pop(0))
    return audit.main()


CLEAN = answered(0, "", "No known vulnerabilities found\n")
FOUND = answered(1, TABLE, "Found 1 known vulnerability in 1 package\n")
AWAY = answered(1, "", "ERROR:pip_audit._cli:Tried to connect to host but failed\n")


def test_no_known_vulnerability_is_a_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, answered(0), CLEAN, CLEAN) == 0
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == list(audit.LOCKS)


def test_a_known_vulnerability_is_listed_and_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, answered(0), FOUND, CLEAN) == 1
    assert "PYSEC-2019-179" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ((answered(1, "", "ERROR: No matching distribution found for pip-audit\n"),), "pip-audit can't be installed"),
        ((answered(0), AWAY, CLEAN), "requirements.txt could not be looked up"),
        ((answered(0), CLEAN, answered(0, "", "something else\n")), "requirements-dev.txt could not be looked up"),
        ((answered(0), FOUND, answered(2)), "requirements-dev.txt could not be looked up"),
    ],
)
def test_no_answer_is_neither(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answers: tuple[Done, ...], words: str
) -> None:
    assert run(monkeypatch, *answers) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Nothing is known about vulnerabilities." in said


def test_both_locks_are_asked_about() -> None:
    assert all((Path(audit.ROOT) / lock).is_file() for lock in audit.LOCKS)
