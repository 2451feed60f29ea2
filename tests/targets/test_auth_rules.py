"""What auth can be saved, and which member is wrong where it can't."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from targets.auth import REQUIRED
from targets.auth_rules import auth_problems
from tests.targets.auths import BASIC, BEARER, EACH, HEADER_KEY, OAUTH2, QUERY_KEY


@pytest.fixture(autouse=True)
def nothing_opened(settings: Settings) -> None:
    settings.EGRESS_ALLOW_CIDRS = []
    settings.EGRESS_ALLOW_HOSTS = []


def problems(auth: Any, **values: Any) -> dict[str, str]:
    return auth_problems({"url": "https://api.example.com/", "headers": {}, **values, "auth": auth})


@pytest.mark.parametrize("auth", [None, {"type": "none"}, *EACH.values()], ids=str)
def test_each_type_can_be_saved(auth: Any) -> None:
    assert problems(auth) == {}


@pytest.mark.parametrize(
    "auth",
    [
        {**BASIC, "password": ""},
        {**BASIC, "username": "", "password": "x"},
        {**BASIC, "username": "ü", "password": "a:b {{x}}"},
        {**BEARER, "token": "{{secret.TOKEN}}"},
        {**OAUTH2, "scope": "", "client_auth": "body"},
        {name: value for name, value in OAUTH2.items() if name != "scope"},
    ],
    ids=str,
)
def test_so_can_what_is_unusual_but_right(auth: Any) -> None:
    assert problems(auth) == {}


@pytest.mark.parametrize(
    ("auth", "field", "words"),
    [
        ([], "auth", "object"),
        ({"type": 5}, "auth", "object"),
        ({}, "auth.type", "none, basic, bearer, api_key, oauth2_client_credentials"),
        ({"type": "digest"}, "auth.type", "basic"),
        ({"type": "none", "token": "x"}, "auth.token", "no such member"),
        ({"type": "bearer"}, "auth.token", "Is required for bearer."),
        ({**BEARER, "token": ""}, "auth.token", "Is empty."),
        ({**BEARER, "token": " x"}, "auth.token", "printable ASCII"),
        ({**BEARER, "token": "ü"}, "auth.token", "printable ASCII"),
        ({**BEARER, "token": "a\r\nX-Evil: 1"}, "auth.token", "control character"),
        ({**BEARER, "token": "x" * 4097}, "auth.token", "at most 4096"),
        ({**BEARER, "tokn": "x"}, "auth.tokn", "It has: token."),
        ({**BASIC, "username": "a:b"}, "auth.username", "colon"),
        ({**BASIC, "username": "", "password": ""}, "auth.username", "both be empty"),
        ({**BASIC, "password": "a\x00"}, "auth.password", "control character"),
        ({**HEADER_KEY, "in": "cookie"}, "auth.in", "header, query"),
        ({**HEADER_KEY, "name": "X Partner"}, "auth.name", "not a header name"),
        ({**HEADER_KEY, "name": "Host"}, "auth.name", "set by the HTTP client"),
        ({**HEADER_KEY, "name": "webhook-id"}, "auth.name", "set by the scheduler"),
        ({**HEADER_KEY, "name": ""}, "auth.name", "Name the header"),
        ({**QUERY_KEY, "name": ""}, "auth.name", "Name the query parameter"),
        ({**HEADER_KEY, "value": "ä"}, "auth.value", "printable ASCII"),
        ({**QUERY_KEY, "value": ""}, "auth.value", "Is empty."),
        ({**OAUTH2, "client_id": ""}, "auth.client_id", "Is empty."),
        ({**OAUTH2, "client_secret": ""}, "auth.client_secret", "Is empty."),
        ({**OAUTH2, "token_url": "ftp://a.example/"}, "auth.token_url", "http"),
        ({**OAUTH2, "token_url": "http://10.0.0.1/"}, "auth.token_url", "EGRESS_ALLOW_CIDRS"),
        ({**OAUTH2, "token_url": "https://a.example/{{run_id}}"}, "auth.token_url", "Placeholders"),
        ({**OAUTH2, "scope": 'a"b'}, "auth.scope", "printable ASCII"),
        ({**OAUTH2, "client_auth": "jwt"}, "auth.client_auth", "header, body"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_it_says_which_member_is_wrong(auth: Any, field: str, words: str) -> None:
    found = problems(auth)
    assert set(found) == {field}
    assert words in found[field]


@pytest.mark.parametrize("auth", [BASIC, BEARER, OAUTH2])
def test_authorization_is_not_set_twice(auth: Any) -> None:
    found = problems(auth, headers={"authorization": "x"})
    assert set(found) == {"auth"}
    assert "The headers have authorization already" in found["auth"]
    assert problems(HEADER_KEY, headers={"Authorization": "x"}) == {}


def test_the_header_of_an_api_key_is_not_set_twice() -> None:
    assert set(problems(HEADER_KEY, headers={"x-partner": "x"})) == {"auth"}
    assert problems(QUERY_KEY, headers={"partner id": "x"}) == {}


def test_the_parameter_of_an_api_key_is_not_set_twice() -> None:
    assert set(problems(QUERY_KEY, url="https://a.example/?partner%20id=1")) == {"auth.name"}
    assert problems(QUERY_KEY, url="https://a.example/?partner=1#partner%20id=1") == {}


TEXTS = st.text(max_size=5) | st.sampled_from(["header", "query", "https://a.example/", "{{secret.X}}"])
NAMES = st.sampled_from(sorted({name for names in REQUIRED.values() for name in names} | {"scope", "client_auth", "x"}))


@given(st.sampled_from(sorted(REQUIRED)), st.dictionaries(NAMES, TEXTS))
def test_no_auth_raises_anything(kind: str, members: dict[str, str]) -> None:
    assert all(sentence.endswith(".") for sentence in problems({"type": kind, **members}).values())
