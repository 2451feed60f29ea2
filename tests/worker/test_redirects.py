"""Which request follows a redirect (guarantee D3)."""

from __future__ import annotations

import pytest

from runs.outcome import ErrorType
from targets.request_spec import RequestSpec
from tests.worker.calls import spec
from worker.call import Failure
from worker.redirects import next_hop

HERE = "https://api.example/v1/orders?page=2"
HEADERS = {
    "User-Agent": "me/1",
    "Accept": "application/json",
    "Authorization": "Bearer secret",
    "Cookie": "crumb=1",
    "X-Api-Key": "secret",
    "X-Custom": "mine",
    "Idempotency-Key": "k-1",
    "Content-Type": "application/json",
}


def posted(**changes: object) -> RequestSpec:
    return spec(HERE, **{"method": "POST", "headers": HEADERS, "body": b"{}", **changes})


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/v2", "https://api.example/v2"),
        ("next", "https://api.example/v1/next"),
        ("?page=3", "https://api.example/v1/orders?page=3"),
        ("//other.example/a", "https://other.example/a"),
        ("https://api.example/a#part", "https://api.example/a"),
        ("/caf\u00e9", "https://api.example/caf%C3%A9"),
    ],
)
def test_a_location_is_read_from_where_it_was_given(location: str, url: str) -> None:
    assert next_hop(posted(), 307, location).url == url


@pytest.mark.parametrize(
    ("status_code", "method", "becomes"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (301, "PUT", "PUT"),
        (302, "DELETE", "DELETE"),
        (302, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "PATCH", "PATCH"),
    ],
)
def test_the_method_changes_as_browsers_change_it(status_code: int, method: str, becomes: str) -> None:
    assert next_hop(posted(method=method), status_code, "/a").method == becomes


def test_a_request_that_becomes_a_get_has_no_body_nor_headers_about_one() -> None:
    hop = next_hop(posted(), 303, "/a")
    assert hop.body is None
    assert hop.headers == {name: value for name, value in HEADERS.items() if name != "Content-Type"}


def test_within_the_origin_a_request_that_keeps_its_method_keeps_everything() -> None:
    hop = next_hop(posted(), 307, "https://API.example:443/a")
    assert (hop.body, hop.headers) == (b"{}", HEADERS)


@pytest.mark.parametrize("location", ["https://other.example/a", "https://api.example:8443/a", "//www.api.example/"])
@pytest.mark.parametrize("status_code", [302, 307])
def test_nothing_of_the_users_goes_to_another_origin(location: str, status_code: int) -> None:
    hop = next_hop(posted(), status_code, location)
    assert hop.body is None
    assert hop.headers == {"User-Agent": "me/1", "Accept": "application/json"}


def test_from_http_to_https_is_another_origin() -> None:
    hop = next_hop(spec("http://api.example/", headers=HEADERS), 302, "https://api.example/")
    assert "Authorization" not in hop.headers


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("http://api.example/a", "from https to http://api.example/a"),
        ("ftp://api.example/a", "The URL must start with http:// or https://."),
        ("https://user:pw@api.example/", "user name or password"),
        ("https://[bad/", "can't be followed"),
        ("https://a b/", "contains a space"),
        ("javascript:alert(1)", "can't be followed"),
        ("https:///\x00" + "x" * 500, "can't be followed"),
    ],
)
def test_what_cannot_be_followed_is_a_failure_that_says_why(location: str, words: str) -> None:
    with pytest.raises(Failure) as caught:
        next_hop(posted(), 302, location)
    assert caught.value.error_type is ErrorType.REDIRECT
    assert words in caught.value.message
    assert "\x00" not in caught.value.message
    assert len(caught.value.message) < 500
