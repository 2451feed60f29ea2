from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
import responses

from runs.outcome import ErrorType
from tests.hostile_sockets import closed_port
from tests.http_target import RecordingTarget
from tests.worker.calls import LOOPBACK, spec
from worker.executor import Executor


def test_a_good_answer_is_a_success_with_everything_on_record(executor: Executor, target: RecordingTarget) -> None:
    outcome = executor.execute(spec(target.url("/orders")))
    assert (outcome.error_type, outcome.error_message, outcome.status_code) == (ErrorType.NONE, "", 200)
    assert outcome.response_body == '{"ok": true}'
    assert outcome.response_headers["Content-Type"] == "application/json"
    assert outcome.response_size_bytes == 12
    assert not outcome.response_truncated
    assert not outcome.withheld
    assert outcome.remote_ip == "127.0.0.1"


def test_the_timings_add_up(executor: Executor, target: RecordingTarget) -> None:
    outcome = executor.execute(spec(target.url("/slow?seconds=0.1")))
    times = outcome.timings
    assert times.dns_ms is not None
    assert times.connect_ms is not None
    assert times.ttfb_ms is not None
    assert times.total_ms is not None
    assert times.tls_ms is None
    assert times.dns_ms + times.connect_ms <= times.ttfb_ms <= times.total_ms
    assert times.ttfb_ms >= 100
    assert outcome.latency_ms == times.total_ms


@pytest.mark.parametrize(
    ("path", "error_type", "status_code"),
    [
        ("/status/404", ErrorType.CLIENT_ERROR, 404),
        ("/status/503", ErrorType.SERVER_ERROR, 503),
        ("/status/302", ErrorType.REDIRECT, 302),
    ],
)
def test_a_bad_status_is_judged(
    executor: Executor, target: RecordingTarget, path: str, error_type: ErrorType, status_code: int
) -> None:
    outcome = executor.execute(spec(target.url(path)))
    assert (outcome.error_type, outcome.status_code) == (error_type, status_code)
    assert str(status_code) in outcome.error_message


def test_the_status_that_is_expected_decides(executor: Executor, target: RecordingTarget) -> None:
    outcome = executor.execute(spec(target.url("/status/404"), expected_status="404"))
    assert outcome.error_type is ErrorType.NONE


def test_the_text_that_must_be_there_is_looked_for_in_the_body(executor: Executor, target: RecordingTarget) -> None:
    assert executor.execute(spec(target.url(), response_must_contain='"ok"')).error_type is ErrorType.NONE
    missing = executor.execute(spec(target.url(), response_must_contain="absent"))
    assert missing.error_type is ErrorType.UNEXPECTED_RESPONSE


def test_the_request_arrives_as_it_was_given(executor: Executor, target: RecordingTarget) -> None:
    headers = {"User-Agent": "me/1", "Idempotency-Key": "k-1", "Content-Type": "application/json", "X-Odd": "a,  b\t!"}
    executor.execute(spec(target.url("/a/b?c=d&e=%2F"), method="PUT", headers=headers, body=b'{"n": 1}'))
    (call,) = target.calls()
    assert (call.method, call.path, call.query, call.body) == ("PUT", "/a/b", {"c": "d", "e": "/"}, b'{"n": 1}')
    assert call.headers == {
        "host": f"127.0.0.1:{target.port}",
        "user-agent": "me/1",
        "idempotency-key": "k-1",
        "content-type": "application/json",
        "x-odd": "a,  b\t!",
        "accept-encoding": "gzip, deflate",
        "content-length": "8",
    }


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PATCH", "OPTIONS"])
def test_a_body_goes_with_any_method_and_always_with_its_length(
    executor: Executor, target: RecordingTarget, method: str
) -> None:
    executor.execute(spec(target.url("/x"), method=method, body=b"payload"))
    (call,) = target.calls()
    assert (call.method, call.body) == (method, b"payload")
    assert call.headers["content-length"] == "7"
    assert "transfer-encoding" not in call.headers


def test_a_post_without_a_body_says_that_it_has_none(executor: Executor, target: RecordingTarget) -> None:
    executor.execute(spec(target.url("/x"), method="POST"))
    assert target.calls()[0].headers["content-length"] == "0"


def test_head_has_a_length_and_no_body(executor: Executor, target: RecordingTarget) -> None:
    outcome = executor.execute(spec(target.url("/big?bytes=5000"), method="HEAD"))
    assert (outcome.error_type, outcome.response_body, outcome.response_size_bytes) == (ErrorType.NONE, "", 5000)
    assert not outcome.response_truncated


def test_no_content_is_a_success_without_a_body(executor: Executor, target: RecordingTarget) -> None:
    outcome = executor.execute(spec(target.url("/status/204")))
    assert (outcome.error_type, outcome.status_code, outcome.response_body) == (ErrorType.NONE, 204, "")
    assert not outcome.response_truncated


def test_cookies_do_not_travel(executor: Executor, target: RecordingTarget) -> None:
    assert "Set-Cookie" in executor.execute(spec(target.url("/cookie"))).response_headers
    executor.execute(spec(target.url("/echo")))
    assert "cookie" not in target.calls("/echo")[0].headers


def test_the_environment_changes_nothing(
    executor: Executor, target: RecordingTarget, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    outcome = executor.execute(spec(target.url("/x"), headers={"Authorization": "Bearer mine"}))
    assert outcome.error_type is ErrorType.NONE
    assert target.calls()[0].headers["authorization"] == "Bearer mine"


def test_a_call_that_may_not_be_sent_is_withheld(executor: Executor, target: RecordingTarget) -> None:
    outcome = executor.execute(spec(target.url("/x")), may_send=lambda: False)
    assert outcome.withheld
    assert outcome.error_type is not ErrorType.NONE
    assert target.calls() == []


def test_the_right_to_send_is_asked_for_when_the_connection_stands(executor: Executor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        seen: list[bytes] = []

        def may_send() -> bool:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(0.05)
                with pytest.raises(TimeoutError):
                    seen.append(connection.recv(1))
            return False

        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        assert executor.execute(spec(url), may_send=may_send).withheld
        assert seen == []


def test_a_failed_connection_does_not_ask_for_the_right_to_send(executor: Executor) -> None:
    asked: list[bool] = []

    def may_send() -> bool:
        asked.append(True)
        return True

    outcome = executor.execute(spec(f"http://127.0.0.1:{closed_port()}/"), may_send=may_send)
    assert outcome.error_type is ErrorType.CONNECTION
    assert asked == []


def test_a_lost_claim_in_the_middle_of_a_redirect_stops_there(executor: Executor, target: RecordingTarget) -> None:
    rights = iter([True, False])
    outcome = executor.execute(
        spec(target.url("/redirect?to=/echo"), follow_redirects=True), may_send=lambda: next(rights)
    )
    assert not outcome.withheld
    assert outcome.error_type is ErrorType.WORKER_LOST
    assert target.calls("/echo") == []


def test_what_nobody_thought_of_is_an_outcome_too(
    executor: Executor, target: RecordingTarget, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> bool:
        raise LookupError("hunter2")

    outcome = executor.execute(spec(target.url()), may_send=broken)
    assert outcome.error_type is ErrorType.UNKNOWN
    assert "LookupError" in outcome.error_message
    assert "hunter2" not in outcome.error_message + str(vars(caplog.records[0]))
    assert "test_executor.py" in vars(caplog.records[0])["where"]


@pytest.mark.parametrize("headers", [{"X-Broken": "a\r\nInjected: b"}, {"X-Snow": "☃"}, {"Bad Name:": "x"}])
def test_headers_that_cannot_be_sent_are_an_outcome_too(
    executor: Executor, target: RecordingTarget, headers: dict[str, str]
) -> None:
    outcome = executor.execute(spec(target.url(), headers=headers))
    assert outcome.error_type is ErrorType.UNKNOWN
    assert target.calls() == []


def test_a_url_that_cannot_be_called_is_an_outcome_too(executor: Executor) -> None:
    outcome = executor.execute(spec("ftp://example.com/"))
    assert outcome.error_type is ErrorType.BLOCKED
    assert outcome.error_message == "The URL must start with http:// or https://."


def test_many_threads_share_one_executor(executor: Executor, target: RecordingTarget) -> None:
    def call(number: int) -> str:
        return executor.execute(spec(target.url("/echo"), method="POST", body=str(number).encode())).response_body

    with ThreadPoolExecutor(8) as threads:
        bodies = list(threads.map(call, range(64)))
    assert [json.loads(body)["body"] for body in bodies] == [str(number) for number in range(64)]
    assert len(target.calls()) == 64


def test_it_sends_through_requests() -> None:
    door = Executor(LOOPBACK, 1)
    with responses.RequestsMock() as fake:
        fake.add(responses.GET, "http://127.0.0.1/faked", body="by requests")
        assert door.execute(spec("http://127.0.0.1/faked")).response_body == "by requests"
        sent = fake.calls[0].request
        assert isinstance(sent, requests.PreparedRequest)
    door.close()
