"""Standard Webhooks signatures, judged by the official library."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from targets.signing import PREFIX, signature_headers, signing_secret_problem

SECRET = PREFIX + base64.b64encode(bytes(range(24))).decode()
OTHER = PREFIX + base64.b64encode(bytes(range(64))).decode()
RUN = "0195a1b2-c3d4-7123-8abc-0123456789ab"


def signed(*secrets: str, body: bytes | None = b'{"a":1}', at: datetime | None = None) -> dict[str, str]:
    return signature_headers(secrets, message_id=RUN, at=at or datetime.now(UTC), body=body)


def accepted(secret: str, headers: dict[str, str], body: bytes = b'{"a":1}') -> bool:
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


@pytest.mark.parametrize("secret", [SECRET, OTHER])
def test_the_official_library_accepts_it(secret: str) -> None:
    assert accepted(secret, signed(secret))


def test_the_example_of_the_specification_comes_out_the_same() -> None:
    headers = signature_headers(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        at=datetime.fromtimestamp(1614265330, UTC),
        body=b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_it_accepts_any_text_as_a_body(text: str) -> None:
    # The library parses what it verified as JSON: a string is as good as any.
    body = f'"{base64.b64encode(text.encode()).decode()}"'.encode()
    assert accepted(SECRET, signed(SECRET, body=body), body)


def test_a_changed_body_another_secret_and_an_old_timestamp_are_refused() -> None:
    headers = signed(SECRET)
    assert not accepted(SECRET, headers, b'{"a":2}')
    assert not accepted(OTHER, headers)
    assert not accepted(SECRET, signed(SECRET, at=datetime.now(UTC) - timedelta(minutes=6)))
    assert not accepted(SECRET, {**headers, "webhook-id": "another"})


def test_during_a_rotation_both_secrets_verify() -> None:
    headers = signed(SECRET, OTHER)
    assert headers["webhook-signature"].count(" ") == 1
    assert accepted(SECRET, headers)
    assert accepted(OTHER, headers)


def test_no_body_is_signed_as_an_empty_one() -> None:
    at = datetime.now(UTC)
    assert signed(SECRET, body=None, at=at) == signed(SECRET, body=b"", at=at)


def test_without_a_secret_there_are_no_headers() -> None:
    assert signed() == {}


@pytest.mark.parametrize("size", [24, 32, 64])
def test_it_takes_secrets_of_the_lengths_that_the_specification_allows(size: int) -> None:
    assert signing_secret_problem(PREFIX + base64.b64encode(bytes(size)).decode()) is None


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("", "must start with whsec_"),
        (SECRET.removeprefix(PREFIX), "must start with whsec_"),
        ("WHSEC_" + SECRET.removeprefix(PREFIX), "must start with whsec_"),
        (PREFIX + "not base64!", "is not base64"),
        (PREFIX + "abc", "is not base64"),
        (PREFIX + "ü" * 32, "is not base64"),
        (PREFIX, "has 0 bytes"),
        (PREFIX + base64.b64encode(bytes(23)).decode(), "has 23 bytes"),
        (PREFIX + base64.b64encode(bytes(65)).decode(), "has 65 bytes"),
        (SECRET + "\n", "is not base64"),
    ],
)
def test_it_refuses_what_is_no_signing_secret(secret: str, words: str) -> None:
    sentence = signing_secret_problem(secret)
    assert sentence is not None
    assert words in sentence
    assert "24 to 64 random bytes" in sentence
