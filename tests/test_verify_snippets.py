"""The receivers' snippets in docs/verify.md accept what we sign, and nothing else."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from scheduler_project.env_file import BASE_DIR
from targets.signing import PREFIX, signature_headers

SECRET, OTHER = (PREFIX + base64.b64encode(bytes([number]) * 32).decode() for number in (250, 251))
BODY = '{"a": "ü"}'
# How each language calls its snippet with what stands in the arguments, and what it prints.
CALLS = {
    "python": (
        sys.executable,
        "-c",
        "import json, sys\nprint(verify(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3].encode()))",
    ),
    "js": ("node", "-e", "const [s, h, b] = process.argv.slice(-3);\nconsole.log(verify(s, JSON.parse(h), b));"),
    "perl": (
        "perl",
        "-e",
        "use JSON::PP;\nprint verify($ARGV[0], decode_json($ARGV[1]), $ARGV[2]) ? 'true' : 'false';",
    ),
    "php": ("php", "-r", "echo verify($argv[1], json_decode($argv[2], true), $argv[3]) ? 'true' : 'false';"),
    "ruby": ("ruby", "-e", 'require "json"\nputs verify(ARGV[0], JSON.parse(ARGV[1]), ARGV[2])'),
}


def snippet(language: str) -> str:
    text = (BASE_DIR / "docs" / "verify.md").read_text(encoding="utf-8")
    found = re.search(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def verified(language: str, secret: str, headers: dict[str, str], body: str) -> bool:
    program, option, call = CALLS[language]
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program} on this machine")
    command = [program, option, f"{snippet(language)}\n{call}", secret, json.dumps(headers), body]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return {"true": True, "false": False}[done.stdout.strip().lower()]


@pytest.mark.parametrize("language", CALLS)
def test_a_snippet_accepts_either_secret_and_refuses_everything_else(language: str) -> None:
    now = datetime.now(UTC)
    headers = signature_headers([OTHER, SECRET], message_id="run-1", at=now, body=BODY.encode())
    assert verified(language, SECRET, headers, BODY)
    assert verified(language, OTHER, headers, BODY)
    assert not verified(language, SECRET, headers, BODY + " ")
    assert not verified(language, SECRET, {**headers, "webhook-id": "run-2"}, BODY)
    only_other = signature_headers([OTHER], message_id="run-1", at=now, body=BODY.encode())
    assert not verified(language, SECRET, only_other, BODY)
    old = signature_headers([SECRET], message_id="run-1", at=now - timedelta(minutes=6), body=BODY.encode())
    assert not verified(language, SECRET, old, BODY)
