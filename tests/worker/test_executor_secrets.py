"""No secret of a request is in what is stored of its answer, and named secrets are read where it is sent (D7)."""

from __future__ import annotations

import base64
import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pytest_django import Settings

from runs.outcome import ErrorType
from targets.masking import MASK
from targets.placeholders import RenderContext
from targets.request_draft import RequestDraft, Sendable, prepare_request
from targets.request_spec import RequestTemplate
from targets.secret_places import SecretSource
from tests.http_target import RecordingTarget
from tests.worker.calls import spec
from worker.executor import Executor
from worker.response_text import MAX_BODY_BYTES

SECRET = "canary-4f1c9e77-00000000"
MOMENT = datetime(2026, 3, 10, 12, tzinfo=UTC)
CONTEXT = RenderContext(UUID(int=1), MOMENT, MOMENT, 1, None, "", "Orders", MOMENT)


def raw(head: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def test_a_secret_that_is_sent_back_is_masked_in_body_and_headers(executor: Executor, target: RecordingTarget) -> None:
    target.script("/", raw(f"200 OK\r\nX-Echo: <{SECRET}>\r\nX-{SECRET}: 1", f"<{SECRET}>".encode()))
    outcome = executor.execute(spec(target.url(), secrets=(SECRET,)))
    assert (outcome.response_body, outcome.response_headers["X-Echo"]) == (f"<{MASK}>", f"<{MASK}>")
    assert SECRET not in repr(outcome)


def test_it_is_masked_before_the_body_is_cut(executor: Executor, target: RecordingTarget) -> None:
    for shown in range(1, len(SECRET)):
        body = b"x" * (MAX_BODY_BYTES - shown) + SECRET.encode() + b"x" * 100
        target.script("/cut", raw("200 OK", body))
        outcome = executor.execute(spec(target.url("/cut"), secrets=(SECRET,)))
        assert outcome.response_truncated
        assert set(outcome.response_body) == {"x", "*"}
        assert len(outcome.response_body.encode()) <= MAX_BODY_BYTES


def test_it_is_masked_in_a_compressed_body(executor: Executor, target: RecordingTarget) -> None:
    body = gzip.compress(f"<{SECRET}>".encode())
    target.script("/gzip", raw("200 OK\r\nContent-Encoding: gzip", body))
    assert executor.execute(spec(target.url("/gzip"), secrets=(SECRET,))).response_body == f"<{MASK}>"


def test_a_coding_that_is_not_undone_is_quoted_without_it(executor: Executor, target: RecordingTarget) -> None:
    target.script("/odd", raw(f"200 OK\r\nContent-Encoding: {SECRET}", b"body"))
    assert SECRET not in repr(executor.execute(spec(target.url("/odd"), secrets=(SECRET,))))


@pytest.mark.parametrize(
    "answer",
    [
        raw(f"302 Found\r\nLocation: https://else.example/?key={SECRET}", b""),
        raw(f"302 Found\r\nLocation: https://else.example/{'x' * 150}{SECRET}", b""),
        f"{SECRET} is no status line\r\n\r\n".encode(),
        f"junk {'x' * 20} {SECRET}\r\n\r\n".encode(),
        raw(f"500 {SECRET}", b""),
    ],
    ids=["location", "long location", "first line", "cut first line", "reason"],
)
@pytest.mark.parametrize("follow", [False, True])
def test_a_failure_is_told_without_it(executor: Executor, target: RecordingTarget, answer: bytes, follow: bool) -> None:
    target.script("/bad", answer)
    outcome = executor.execute(spec(target.url("/bad"), secrets=(SECRET,), follow_redirects=follow))
    assert outcome.error_type is not ErrorType.NONE
    assert SECRET[:10] not in repr(outcome)


def test_the_text_that_must_be_there_is_looked_for_in_what_is_stored(
    executor: Executor, target: RecordingTarget
) -> None:
    target.script("/", raw("200 OK", SECRET.encode()))
    request = spec(target.url(), secrets=(SECRET,), response_must_contain=SECRET[:12])
    assert executor.execute(request).error_type is ErrorType.UNEXPECTED_RESPONSE


def drafted(target: RecordingTarget, *, source: SecretSource, **changes: Any) -> tuple[Sendable, str]:
    """A request that names a secret in its query, a header and its body; and what of it is shown."""
    values = {
        "method": "POST",
        "url": target.url("/echo?k={{secret.API}}"),
        "headers": {"X-Note": "-{{secret.API}}-", "Content-Type": "application/json"},
        "body_template": '{"a": "{{secret.API}}"}',
        "timeout_seconds": 5.0,
        "connect_timeout_seconds": 5.0,
        "follow_redirects": False,
        "verify_tls": True,
        "expected_status": "200-299",
        "response_must_contain": None,
    }
    template = RequestTemplate(**{**values, **changes})
    request, shown = prepare_request(template, CONTEXT, {source.name: source})
    return request, repr(shown)


def test_a_stored_secret_arrives_and_is_nowhere_else(executor: Executor, target: RecordingTarget) -> None:
    secret = 'quo"te/' + SECRET
    request, shown = drafted(target, source=SecretSource("API", secret, None))
    assert isinstance(request, RequestDraft)
    assert SECRET not in shown + repr(request)
    outcome = executor.execute(request)
    (call,) = target.calls()
    assert call.query == {"k": secret}
    assert call.headers["x-note"] == f"-{secret}-"
    assert call.body.decode() == '{"a": "quo\\"te/' + SECRET + '"}'
    assert SECRET not in repr(outcome)
    assert outcome.response_body.count(MASK) == 3


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    """A folder that secrets may be read from."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    settings.SECRETS_DIR = folder
    return folder


def test_a_secret_in_a_file_is_read_when_it_is_sent(executor: Executor, target: RecordingTarget, folder: Path) -> None:
    request, _ = drafted(target, source=SecretSource("API", None, "file:api"))
    for value in (SECRET, "changed-0000"):
        (folder / "api").write_text(value + "\n")
        outcome = executor.execute(request)
        assert target.calls()[-1].query == {"k": value}
        assert value not in repr(outcome)


def test_a_secret_that_can_not_be_read_is_a_template_error_and_nothing_is_sent(
    executor: Executor, target: RecordingTarget, folder: Path
) -> None:
    request, _ = drafted(target, source=SecretSource("API", None, "file:missing"))
    outcome = executor.execute(request)
    assert (outcome.error_type, outcome.error_message) == (
        ErrorType.TEMPLATE,
        "The secret API can't be read from file:missing: no such file or directory.",
    )
    assert target.calls() == []


def test_a_secret_that_can_not_be_in_a_header_is_a_template_error_without_its_value(
    executor: Executor, target: RecordingTarget
) -> None:
    request, _ = drafted(target, source=SecretSource("API", f"{SECRET}\r\nX-Evil: 1", None))
    outcome = executor.execute(request)
    assert outcome.error_type is ErrorType.TEMPLATE
    assert "X-Note has characters other than" in outcome.error_message
    assert SECRET not in repr(outcome)
    assert target.calls() == []


def test_basic_auth_that_names_a_secret_is_sent_with_it(executor: Executor, target: RecordingTarget) -> None:
    auth = {"type": "basic", "username": "me", "password": "{{secret.API}}"}
    request, shown = drafted(target, source=SecretSource("API", SECRET, None), auth=auth, url=target.url("/echo"))
    executor.execute(request)
    sent = target.calls()[0].headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent).decode() == f"me:{SECRET}"
    assert SECRET not in shown
