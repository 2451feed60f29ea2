"""Asks the database of known vulnerabilities about every package of both locks: `make audit`.

Exit code 0: none is known. 1: some are; they are listed. 2: the question could not be asked, and why.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.txt", "requirements-dev.txt")
NO_ANSWER = 2
# What pip-audit says when it has an answer. It exits 1 for vulnerabilities and for its own failures alike.
CLEAN = "No known vulnerabilities found"
FOUND = "known vulnerabilit"


def main() -> int:
    """Install pip-audit where nothing else is, and run it over each lock."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        installed = _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "pip-audit"])
        if installed.returncode != 0:
            return _no_answer("pip-audit can't be installed", installed.stderr)
        return max(_ask(python, lock) for lock in LOCKS)


def _ask(python: Path, lock: str) -> int:
    options = ["--require-hashes", "--disable-pip", "--strict", "--progress-spinner", "off", "--timeout", "20"]
    asked = _run([str(python), "-m", "pip_audit", *options, "--requirement", str(ROOT / lock)])
    if asked.returncode == 0 and CLEAN in asked.stderr + asked.stdout:
        sys.stdout.write(f"{lock}: no package has a known vulnerability.\n")
        return 0
    if FOUND in (asked.stderr + asked.stdout).lower() and asked.stdout.strip():
        sys.stdout.write(f"{lock}:\n{asked.stdout}")
        return 1
    return _no_answer(f"{lock} could not be looked up", asked.stderr or asked.stdout)


def _no_answer(what: str, said: str) -> int:
    last = (said.strip().splitlines() or ["nothing was said"])[-1]
    sys.stderr.write(f"No answer: {what}. Nothing is known about vulnerabilities.\n  {last[:300]}\n")
    return NO_ANSWER


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words


if __name__ == "__main__":
    sys.exit(main())
