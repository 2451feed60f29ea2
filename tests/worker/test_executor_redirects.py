"""Redirects over real connections (guarantee D3)."""

from __future__ import annotations

import json

import pytest

from runs.outcome import ErrorType
from targets.egress import EgressPolicy
from tests.certificates import Authority
from tests.http_target import RecordingTarget
from tests.worker.calls import LOOPBACK, Names, spec
from worker.executor import Executor


def test_a_redirect_is_not_followed_unless_asked_for(executor: Executor, target: RecordingTarget) -> None:
    outcome = executor.execute(spec(target.url("/redirect?to=/echo")))
    assert outcome.error_type is ErrorType.REDIRECT
    assert outcome.error_message == "The target answered 302 Found to /echo; follow_redirects is off."
    assert target.calls("/echo") == []


def test_the_body_of_a_redirect_is_not_read(executor: Executor, target: RecordingTarget) -> None:
    outcome = executor.execute(spec(target.url("/redirect?to=/echo&bytes=5000")))
    assert (outcome.response_body, outcome.response_truncated, outcome.response_size_bytes) == ("", True, 5000)


def test_an_endless_body_of_a_redirect_ends_at_once(executor: Executor, target: RecordingTarget) -> None:
    target.script("/raw", b"HTTP/1.1 302 Found\r\nLocation: /echo\r\n\r\n" + b"x" * 1_000_000)
    outcome = executor.execute(spec(target.url("/raw")))
    assert (outcome.error_type, outcome.response_body) == (ErrorType.REDIRECT, "")


def test_a_redirect_that_is_expected_is_a_success_with_its_body(executor: Executor, target: RecordingTarget) -> None:
    outcome = executor.execute(spec(target.url("/redirect?to=/echo&bytes=10"), expected_status="302"))
    assert (outcome.error_type, outcome.response_body) == (ErrorType.NONE, "x" * 10)


def test_a_redirect_is_followed_where_asked_for(executor: Executor, target: RecordingTarget) -> None:
    request = spec(target.url("/redirect?to=/echo"), method="POST", body=b"hello", follow_redirects=True)
    outcome = executor.execute(request)
    assert (outcome.error_type, outcome.status_code) == (ErrorType.NONE, 200)
    sent = json.loads(outcome.response_body)
    assert (sent["method"], sent["body"]) == ("GET", "")


def test_a_redirect_that_keeps_the_method_sends_the_body_again(executor: Executor, target: RecordingTarget) -> None:
    url = target.url("/redirect?to=/echo&status=307")
    outcome = executor.execute(spec(url, method="POST", body=b"hello", follow_redirects=True))
    sent = json.loads(outcome.response_body)
    assert (sent["method"], sent["body"]) == ("POST", "hello")


def test_a_redirect_without_a_location_is_the_last_answer(executor: Executor, target: RecordingTarget) -> None:
    outcome = executor.execute(spec(target.url("/status/302"), follow_redirects=True))
    assert outcome.error_type is ErrorType.REDIRECT
    assert outcome.error_message == "The target answered 302 Found without a Location."


def test_more_than_five_redirects_are_a_failure(executor: Executor, target: RecordingTarget) -> None:
    outcome = executor.execute(spec(target.url("/loop"), follow_redirects=True))
    assert outcome.error_type is ErrorType.REDIRECT
    assert outcome.error_message == "The target redirected more than 5 times."
    assert outcome.status_code == 302
    assert len(target.calls("/loop")) == 6


def test_secrets_do_not_follow_to_another_origin(executor: Executor, target: RecordingTarget) -> None:
    headers = {"Authorization": "Bearer s", "Cookie": "a=b", "X-Api-Key": "s", "X-Mine": "m", "User-Agent": "me"}
    with RecordingTarget() as other:
        url = target.url(f"/redirect?to={other.url('/echo')}&status=307")
        executor.execute(spec(url, method="POST", headers=headers, body=b"secret", follow_redirects=True))
        (call,) = other.calls("/echo")
    assert set(call.headers) == {"host", "user-agent", "accept-encoding", "content-length"}
    assert call.body == b""


def test_cookies_that_a_redirect_sets_are_not_sent(executor: Executor, target: RecordingTarget) -> None:
    raw = b"HTTP/1.1 302 Found\r\nLocation: /echo\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    target.script("/raw", raw)
    executor.execute(spec(target.url("/raw"), follow_redirects=True))
    assert "cookie" not in target.calls("/echo")[0].headers


@pytest.mark.parametrize("address", ["http://10.0.0.1/", "http://[::1]/", "http://inside.example/"])
def test_every_hop_is_judged(target: RecordingTarget, address: str) -> None:
    executor = Executor(LOOPBACK, 1, lookup=Names({"inside.example": ["192.168.0.1"]}))
    outcome = executor.execute(spec(target.url(f"/redirect?to={address}"), follow_redirects=True))
    executor.close()
    assert outcome.error_type is ErrorType.BLOCKED
    assert outcome.status_code == 302


def test_a_refused_port_is_refused_after_a_redirect_too(executor: Executor, target: RecordingTarget) -> None:
    request = spec(target.url("/redirect?to=http://127.0.0.1:6379/"), follow_redirects=True)
    assert executor.execute(request).error_type is ErrorType.BLOCKED


def test_a_step_down_from_https_is_not_followed(target: RecordingTarget) -> None:
    executor = Executor(EgressPolicy(allow_networks=LOOPBACK.allow_networks), 1)
    with RecordingTarget(tls=Authority().server()) as secure:
        url = secure.url(f"/redirect?to={target.url('/echo')}")
        outcome = executor.execute(spec(url, verify_tls=False, follow_redirects=True))
    executor.close()
    assert outcome.error_type is ErrorType.REDIRECT
    assert "from https to http" in outcome.error_message
    assert target.calls() == []
