"""Access tokens: fetched within the call, kept, and renewed once when the target turns one down."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest

from runs.outcome import ErrorType, Outcome
from targets.auth import ClientCredentials
from targets.egress import EgressPolicy
from targets.masking import MASK
from targets.request_spec import RequestSpec
from tests.hostile_sockets import closed_port
from tests.http_target import Call, RecordingTarget
from tests.worker.calls import LOOPBACK, Names, spec
from worker.executor import Executor

SECRET = "client-s3cret/+"
TOKENS = ["token-one-11111", "token-two-22222", "token-three-333"]


@pytest.fixture
def door() -> Iterator[Executor]:
    """An executor of its own: nothing is kept from another test."""
    executor = Executor(LOOPBACK, 8)
    yield executor
    executor.close()


def raw(status: str, body: bytes = b"", **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\n{lines}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def answer(**members: Any) -> bytes:
    return raw("200 OK", json.dumps(members).encode())


def granting(target: RecordingTarget, *tokens: str, **members: Any) -> None:
    """Have the token endpoint give out the tokens, one per request, the last one again and again."""
    granted = {"token_type": "Bearer", "expires_in": 3600, **members}
    target.script("/token", *(answer(access_token=token, **granted) for token in tokens))


def calling(target: RecordingTarget, path: str = "/orders", **changes: Any) -> RequestSpec:
    credentials = ClientCredentials(target.url("/token"), "me", SECRET, "read write")
    values = {"client_credentials": credentials, "secrets": (SECRET,), **changes}
    return spec(target.url(path), **values)


def authorizations(calls: list[Call]) -> list[str]:
    return [call.headers.get("authorization", "") for call in calls]


def test_it_asks_for_a_token_as_rfc_6749_says_and_sends_it(door: Executor, target: RecordingTarget) -> None:
    granting(target, *TOKENS)
    outcome = door.execute(calling(target))
    assert outcome.error_type is ErrorType.NONE
    (asked,) = target.calls("/token")
    assert (asked.method, asked.headers["content-type"]) == ("POST", "application/x-www-form-urlencoded")
    assert parse_qs(asked.body.decode()) == {"grant_type": ["client_credentials"], "scope": ["read write"]}
    assert base64.b64decode(asked.headers["authorization"].removeprefix("Basic ")) == b"me:client-s3cret%2F%2B"
    assert authorizations(target.calls("/orders")) == [f"Bearer {TOKENS[0]}"]


def test_the_clients_secret_goes_into_the_body_where_the_server_wants_it_there(
    door: Executor, target: RecordingTarget
) -> None:
    granting(target, *TOKENS)
    credentials = ClientCredentials(target.url("/token"), "me", SECRET, client_auth="body")
    door.execute(calling(target, client_credentials=credentials))
    (asked,) = target.calls("/token")
    form = {"grant_type": ["client_credentials"], "client_id": ["me"], "client_secret": [SECRET]}
    assert parse_qs(asked.body.decode()) == form
    assert "authorization" not in asked.headers


def test_a_token_is_kept_for_the_next_calls(door: Executor, target: RecordingTarget) -> None:
    granting(target, *TOKENS)
    for _ in range(3):
        door.execute(calling(target))
    assert len(target.calls("/token")) == 1
    assert set(authorizations(target.calls("/orders"))) == {f"Bearer {TOKENS[0]}"}


def test_other_credentials_have_a_token_of_their_own(door: Executor, target: RecordingTarget) -> None:
    granting(target, *TOKENS)
    request = calling(target)
    assert request.client_credentials
    door.execute(request)
    door.execute(replace(request, client_credentials=replace(request.client_credentials, scope="other")))
    door.execute(replace(request, client_credentials=replace(request.client_credentials, client_secret="edited")))
    assert authorizations(target.calls("/orders")) == [f"Bearer {token}" for token in TOKENS]


@pytest.mark.parametrize("expires_in", [60, 0, -5, "59", "soon", 1e999])
def test_a_token_that_ends_within_a_minute_is_used_once(
    door: Executor, target: RecordingTarget, expires_in: object
) -> None:
    granting(target, *TOKENS, expires_in=expires_in)
    for _ in range(2):
        assert door.execute(calling(target)).error_type is ErrorType.NONE
    assert len(target.calls("/token")) == 2


def test_a_token_that_the_target_turns_down_is_renewed_once_within_the_attempt(
    door: Executor, target: RecordingTarget
) -> None:
    granting(target, *TOKENS)
    target.script("/orders", raw("401 Unauthorized"), raw("200 OK", b"fine"))
    outcome = door.execute(calling(target))
    assert (outcome.error_type, outcome.status_code, outcome.response_body) == (ErrorType.NONE, 200, "fine")
    assert authorizations(target.calls("/orders")) == [f"Bearer {TOKENS[0]}", f"Bearer {TOKENS[1]}"]
    target.forget()
    door.execute(calling(target))
    assert authorizations(target.calls()) == [f"Bearer {TOKENS[1]}"]


def test_a_second_refusal_is_the_result(door: Executor, target: RecordingTarget) -> None:
    granting(target, *TOKENS)
    target.script("/orders", raw("401 Unauthorized"))
    outcome = door.execute(calling(target))
    assert (outcome.error_type, outcome.status_code) == (ErrorType.CLIENT_ERROR, 401)
    assert (len(target.calls("/orders")), len(target.calls("/token"))) == (2, 2)


def test_a_401_that_is_expected_is_no_refusal(door: Executor, target: RecordingTarget) -> None:
    granting(target, *TOKENS)
    target.script("/orders", raw("401 Unauthorized"))
    assert door.execute(calling(target, expected_status="401")).error_type is ErrorType.NONE
    assert len(target.calls("/orders")) == 1


def test_a_token_does_not_follow_a_redirect_to_another_origin(door: Executor, target: RecordingTarget) -> None:
    granting(target, *TOKENS)
    with RecordingTarget() as other:
        target.script("/orders", raw("307 Temporary Redirect", Location=other.url("/there")))
        other.script("/there", raw("401 Unauthorized"))
        outcome = door.execute(calling(target, follow_redirects=True))
        assert outcome.status_code == 401
        assert authorizations(other.calls()) == [""]
    assert len(target.calls("/token")) == 1


@pytest.mark.parametrize(
    ("reply", "error_type", "words"),
    [
        (raw("401 Unauthorized", b'{"error": "invalid_client"}'), ErrorType.CLIENT_ERROR, "401 (invalid_client)."),
        (raw("400 Bad Request", b'{"error": "client-s3cret"}'), ErrorType.CLIENT_ERROR, "it answered 400."),
        (raw("429 Too Many Requests"), ErrorType.SERVER_ERROR, "it answered 429."),
        (raw("503 Service Unavailable"), ErrorType.SERVER_ERROR, "it answered 503."),
        (raw("302 Found", Location="http://127.0.0.1:1/"), ErrorType.REDIRECT, "it answered 302."),
        (raw("200 OK", b"<html>"), ErrorType.BAD_RESPONSE, "no access_token"),
        (raw("200 OK", b"[]"), ErrorType.BAD_RESPONSE, "no access_token"),
        (raw("200 OK", b"[" * 100_000), ErrorType.BAD_RESPONSE, "no access_token"),
        (answer(access_token=5), ErrorType.BAD_RESPONSE, "no access_token"),
        (answer(access_token="a\r\nX-Evil: 1"), ErrorType.BAD_RESPONSE, "no access_token"),
        (answer(access_token="a", token_type="mac"), ErrorType.BAD_RESPONSE, "not Bearer"),
        (answer(access_token="a", token_type=None), ErrorType.BAD_RESPONSE, "not Bearer"),
        (b"junk client-s3cret/+ junk\r\n\r\n", ErrorType.BAD_RESPONSE, "did not answer in HTTP"),
        (b"", ErrorType.CONNECTION, "closed the connection"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_whatever_the_token_endpoint_does_is_one_error_that_names_it(
    door: Executor, target: RecordingTarget, reply: bytes, error_type: ErrorType, words: str
) -> None:
    target.script("/token", reply)
    outcome = door.execute(calling(target))
    assert outcome.error_type is error_type
    assert outcome.error_message.startswith(f"No access token from {target.url('/token')}: ")
    assert words in outcome.error_message
    assert "client-s3cret" not in outcome.error_message
    assert (outcome.status_code, outcome.response_body, outcome.response_headers) == (None, "", {})
    assert target.calls("/orders") == []


def test_a_token_endpoint_that_nobody_serves_is_a_connection_error(door: Executor, target: RecordingTarget) -> None:
    credentials = ClientCredentials(f"http://127.0.0.1:{closed_port()}/token", "me", SECRET)
    outcome = door.execute(calling(target, client_credentials=credentials))
    assert (outcome.error_type, outcome.error_message.partition(": ")[2]) == (
        ErrorType.CONNECTION,
        "127.0.0.1 refused the connection.",
    )


def test_a_token_endpoint_is_judged_like_any_address(target: RecordingTarget) -> None:
    door = Executor(EgressPolicy(), 1, lookup=Names({"login.example": ["10.0.0.7"]}))
    credentials = ClientCredentials("http://login.example/token", "me", SECRET)
    outcome = door.execute(calling(target, client_credentials=credentials))
    door.close()
    assert outcome.error_type is ErrorType.BLOCKED
    assert outcome.error_message.startswith("No access token from http://login.example/token: ")
    assert "EGRESS_ALLOW_HOSTS" in outcome.error_message


def test_a_slow_token_endpoint_uses_up_the_time_of_the_attempt(door: Executor, target: RecordingTarget) -> None:
    credentials = ClientCredentials(target.url("/silent"), "me", SECRET)
    outcome = door.execute(calling(target, client_credentials=credentials, timeout_seconds=0.3))
    assert outcome.error_type is ErrorType.TIMEOUT
    assert outcome.error_message == (
        f"No access token from {target.url('/silent')}: 127.0.0.1 did not answer within 0.3 s (timeout_seconds)."
    )
    assert target.calls("/orders") == []


def test_many_calls_at_once_ask_once(door: Executor, target: RecordingTarget) -> None:
    granting(target, *TOKENS)
    together = threading.Barrier(8)

    def call(_: int) -> Outcome:
        together.wait()
        return door.execute(calling(target))

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(call, range(8)))
    assert {outcome.error_type for outcome in outcomes} == {ErrorType.NONE}
    assert len(target.calls("/token")) == 1


def test_a_process_without_the_right_to_send_asks_for_no_token(door: Executor, target: RecordingTarget) -> None:
    granting(target, *TOKENS)
    assert door.execute(calling(target), may_send=lambda: False).withheld
    assert target.calls() == []


def test_a_right_that_is_lost_after_the_token_leaves_the_call_unsent(door: Executor, target: RecordingTarget) -> None:
    granting(target, *TOKENS)
    rights = iter([True, False])
    assert door.execute(calling(target), may_send=lambda: next(rights)).withheld
    assert target.calls("/orders") == []


def test_neither_the_token_nor_the_clients_secret_is_stored(door: Executor, target: RecordingTarget) -> None:
    granting(target, *TOKENS)
    echoed = f"you sent Bearer {TOKENS[0]}, and {SECRET}".encode()
    target.script("/orders", raw("200 OK", echoed, X_Echo=TOKENS[0]))
    outcome = door.execute(calling(target))
    assert outcome.response_body == f"you sent Bearer {MASK}, and {MASK}"
    assert TOKENS[0] not in repr(outcome)
