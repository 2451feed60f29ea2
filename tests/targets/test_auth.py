"""What each type of auth sends, and what of it is shown (guarantee D7)."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import pytest

from targets.auth import Auth, client_credentials, kept_members, mask_auth, secret_members
from targets.masking import MASK
from targets.placeholders import RenderContext
from targets.request_spec import RequestSpec, RequestTemplate, render_request, shown_request
from tests.targets.auths import BASIC, BEARER, CANARY, EACH, HEADER_KEY, OAUTH2, PLAIN_CANARY, QUERY_KEY

MOMENT = datetime(2026, 3, 10, 12, tzinfo=UTC)
CONTEXT = RenderContext(
    run_id=UUID(int=1),
    created_at=MOMENT,
    scheduled_at=MOMENT,
    attempt_number=1,
    schedule_id=None,
    schedule_name="",
    target_name="Orders",
    attempted_at=MOMENT,
)
TEMPLATE = RequestTemplate("GET", "https://api.example.com/a", {}, None, 5, 5, False, True, "200-299", None)


def rendered(auth: Auth | None, url: str = "https://api.example.com/a", **secrets: str) -> RequestSpec:
    return render_request(replace(TEMPLATE, auth=auth, url=url), replace(CONTEXT, secrets=secrets))


def test_basic_sends_user_name_and_password_in_utf_8() -> None:
    scheme, _, pair = rendered(BASIC).headers["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(pair).decode()) == ("Basic", f"me:{CANARY}")


def test_bearer_sends_the_token() -> None:
    assert rendered(BEARER).headers["Authorization"] == f"Bearer {PLAIN_CANARY}"


def test_an_api_key_goes_into_its_header() -> None:
    assert rendered(HEADER_KEY).headers["X-Partner"] == PLAIN_CANARY


@pytest.mark.parametrize(
    ("url", "before"), [("https://api.example.com/a", []), ("https://a.example/?b=1", [("b", "1")])]
)
def test_an_api_key_goes_into_the_query_behind_what_is_there(url: str, before: list[tuple[str, str]]) -> None:
    query = urlsplit(rendered(QUERY_KEY, url).url).query
    assert parse_qsl(query, keep_blank_values=True) == [*before, ("partner id", CANARY)]


def test_client_credentials_are_handed_on_and_not_sent() -> None:
    spec = rendered(OAUTH2)
    assert spec.client_credentials == client_credentials(OAUTH2, verify_tls=True)
    assert CANARY not in repr(spec.headers) + spec.url
    assert "Authorization" not in spec.headers


def test_no_auth_sends_nothing() -> None:
    assert rendered(None).headers == rendered({"type": "none"}).headers


@pytest.mark.parametrize("auth", EACH.values(), ids=EACH)
def test_what_is_shown_of_the_request_has_a_mask_where_the_secret_is(auth: Auth) -> None:
    spec = rendered(auth)
    masked = render_request(replace(TEMPLATE, auth=auth), replace(CONTEXT, secrets=None))
    shown = shown_request(masked, spec.secrets)
    assert PLAIN_CANARY not in repr(shown)
    assert base64.b64encode(CANARY.encode()).decode()[:16] not in repr(shown)
    assert MASK in (shown.url + "".join(shown.headers.values()))


@pytest.mark.parametrize("auth", EACH.values(), ids=EACH)
def test_neither_a_request_nor_its_credentials_show_a_secret_in_a_traceback(auth: Auth) -> None:
    spec = rendered(auth)
    assert "canary" not in repr(spec) + repr(replace(TEMPLATE, auth=auth)) + repr(spec.client_credentials)


@pytest.mark.parametrize("auth", EACH.values(), ids=EACH)
def test_what_is_sent_is_known_to_be_secret(auth: Auth) -> None:
    assert any(secret in (CANARY, PLAIN_CANARY) for secret in rendered(auth).secrets)


@pytest.mark.parametrize(
    ("auth", "secret"),
    [
        (BASIC, {"password"}),
        ({**BASIC, "password": ""}, {"username"}),
        (BEARER, {"token"}),
        (HEADER_KEY, {"value"}),
        (OAUTH2, {"client_secret"}),
        ({"type": "none"}, set()),
    ],
)
def test_only_what_is_secret_is_masked(auth: Auth, secret: set[str]) -> None:
    assert secret_members(auth) == secret
    assert mask_auth(auth) == {name: MASK if name in secret else value for name, value in auth.items()}


def test_no_auth_is_shown_as_type_none() -> None:
    assert mask_auth(None) == {"type": "none"}


@pytest.mark.parametrize("auth", EACH.values(), ids=EACH)
def test_what_is_shown_can_be_sent_back_to_keep_what_is_stored(auth: Auth) -> None:
    assert kept_members(mask_auth(auth), auth) == secret_members(auth)
    assert kept_members(auth, auth) == set()


def test_a_named_secret_is_filled_in_and_other_braces_are_kept() -> None:
    auth = {**BASIC, "password": "{{secret.DB}}-{{run_id}}-{{x}}"}
    pair = rendered(auth, DB="d0").headers["Authorization"].partition(" ")[2]
    assert base64.b64decode(pair).decode() == "me:d0-{{run_id}}-{{x}}"
