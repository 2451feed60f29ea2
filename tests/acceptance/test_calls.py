"""What becomes of calls, seen by the target and in the database."""

from __future__ import annotations

import socket
import ssl
from itertools import pairwise

import pytest
import trustme

from runs.models import Attempt
from tests.acceptance.conftest import Workers, call, ended
from tests.http_target import RecordingTarget

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_success_is_recorded_as_the_target_saw_it(workers: Workers, target: RecordingTarget) -> None:
    run = call(target.url("/echo"), target_fields={"method": "POST", "body_template": '{"run": "{{run_id}}"}'})
    workers.start()
    run = ended(run)
    (seen,) = target.calls("/echo")
    attempt = Attempt.objects.get(run=run)
    assert (run.status, run.final_status_code, attempt.status_code) == ("success", 200, 200)
    assert seen.body.decode() == f'{{"run": "{run.id}"}}' == attempt.request_body
    assert seen.headers["idempotency-key"] == seen.headers["x-scheduler-run-id"] == str(run.id)
    assert seen.headers["x-scheduler-schedule-id"] == str(run.schedule_id)
    assert seen.headers["x-scheduler-attempt"] == "1"
    assert attempt.remote_ip == "127.0.0.1"


def test_a_client_error_is_not_retried(workers: Workers, target: RecordingTarget) -> None:
    run = call(target.url("/status/404"))
    workers.start()
    run = ended(run)
    assert (run.status, run.final_error_type, run.final_status_code) == ("failed", "client_error", 404)
    assert len(target.calls()) == run.attempts.count() == 1


def test_a_server_error_is_retried_with_growing_waits_and_one_key(workers: Workers, target: RecordingTarget) -> None:
    run = call(target.url("/status/503"), retry_delay_seconds=0.2, max_retries=3)
    workers.start()
    run = ended(run)
    seen = target.calls()
    waits = [later.at - earlier.at for earlier, later in pairwise(seen)]
    assert (run.status, run.final_error_type, run.attempt_count, len(seen)) == ("failed", "server_error", 4, 4)
    assert all(wait >= least for wait, least in zip(waits, (0.2, 0.4, 0.8), strict=True))
    assert {request.key for request in seen} == {str(run.id)}
    assert [request.headers["x-scheduler-attempt"] for request in seen] == ["1", "2", "3", "4"]


def test_a_target_that_recovers_ends_in_success(workers: Workers, target: RecordingTarget) -> None:
    busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
    target.script("/flaky", busy, busy, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    run = call(target.url("/flaky"), retry_delay_seconds=0.1)
    workers.start()
    run = ended(run)
    errors = list(run.attempts.values_list("error_type", flat=True))
    assert (run.status, errors) == ("success", ["server_error", "server_error", "none"])


def test_a_target_that_does_not_answer_in_time_is_a_timeout(workers: Workers, target: RecordingTarget) -> None:
    # It never answers: nothing but the deadline ends the call.
    run = call(target.url("/silent"), target_fields={"timeout_seconds": 0.5}, max_retries=0)
    workers.start()
    run = ended(run)
    attempt = Attempt.objects.get(run=run)
    assert (run.status, run.final_error_type, attempt.status_code) == ("timeout", "timeout", None)
    assert attempt.error_message == "127.0.0.1 did not answer within 0.5 s (timeout_seconds)."
    assert attempt.latency_ms is not None
    assert attempt.latency_ms >= 500
    assert len(target.calls()) == 1


def test_a_refused_connection_says_so(workers: Workers) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        run = call(f"http://127.0.0.1:{port}/", max_retries=0)
        workers.start()
        run = ended(run)
    assert (run.status, run.final_error_type) == ("failed", "connection")


def test_an_unknown_host_says_so(workers: Workers) -> None:
    run = call("http://nowhere.invalid/", max_retries=0, target_fields={"timeout_seconds": 30})
    workers.start()
    run = ended(run)
    assert (run.status, run.final_error_type) == ("failed", "dns")
    assert "nowhere.invalid" in run.final_error_message


def test_a_certificate_that_nobody_vouches_for_says_so_and_is_not_retried(workers: Workers) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with RecordingTarget(tls=context) as secure:
        run = call(secure.url("/"))
        workers.start()
        run = ended(run)
        assert secure.calls() == []
    assert (run.status, run.final_error_type, run.attempt_count) == ("failed", "ssl", 1)


def test_a_large_body_is_cut_and_its_size_kept(workers: Workers, target: RecordingTarget) -> None:
    target.script("/large", b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n" + b"x" * 1_048_576)
    run = call(target.url("/large"))
    workers.start()
    run = ended(run)
    attempt = Attempt.objects.get(run=run)
    assert (run.status, len(attempt.response_body)) == ("success", 102_400)
    assert (attempt.response_truncated, attempt.response_size_bytes) == (True, 1_048_576)


def test_loopback_is_refused_unless_it_is_opened(workers: Workers, target: RecordingTarget) -> None:
    run = call(target.url("/"))
    workers.start(EGRESS_ALLOW_CIDRS="")
    run = ended(run)
    assert (run.status, run.final_error_type) == ("failed", "blocked")
    assert "EGRESS_ALLOW_CIDRS" in run.final_error_message
    assert target.calls() == []
