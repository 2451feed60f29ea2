from __future__ import annotations

import pytest

from targets.egress_proxy import EgressProxy, parse_proxy_url


@pytest.mark.parametrize(
    ("url", "proxy", "shown"),
    [
        ("http://proxy.internal:3128", EgressProxy("proxy.internal", 3128), "proxy.internal:3128"),
        ("http://Proxy_1.Internal:3128/", EgressProxy("proxy_1.internal", 3128), "proxy_1.internal:3128"),
        ("HTTP://10.0.0.1:80", EgressProxy("10.0.0.1", 80), "10.0.0.1:80"),
        ("http://[fd00::1]:3128", EgressProxy("fd00::1", 3128), "[fd00::1]:3128"),
        ("http://me:s3@p:1", EgressProxy("p", 1, "Basic bWU6czM="), "p:1"),
        ("http://me@p:1", EgressProxy("p", 1, "Basic bWU6"), "p:1"),
        ("http://m%3Ae:p%40%2F%C3%BC:x@p:1", EgressProxy("p", 1, "Basic bTplOnBAL8O8Ong="), "p:1"),
    ],
)
def test_it_reads_where_the_proxy_is_and_what_it_wants_to_know(url: str, proxy: EgressProxy, shown: str) -> None:
    assert parse_proxy_url(url) == proxy
    assert str(parse_proxy_url(url)) == shown


@pytest.mark.parametrize(
    "url",
    [
        "proxy.internal:3128",
        "https://hunter2@proxy.internal:3128",
        "socks5://hunter2@proxy.internal:1080",
        "http://hunter2@proxy.internal",
        "http://hunter2@proxy.internal:0",
        "http://hunter2@proxy.internal:65536",
        "http://hunter2@proxy.internal:3128/path",
        "http://hunter2@proxy.internal:3128?x",
        "http://hunter2@proxy.internal:3128#x",
        "http://hunter2@proxy internal:3128",
        "http://hunter2@a@b:3128",
        "http://hunter2@b\u00fccher.example:3128",
        "http://hunter2@:3128",
        "http://hunter2:\r\nHost: x@p:1/\n",
        "http://",
        "",
    ],
)
def test_it_refuses_anything_else_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="must be http://host:port") as refusal:
        parse_proxy_url(url)
    assert "hunter2" not in str(refusal.value)


def test_no_text_of_it_shows_its_credentials() -> None:
    proxy = parse_proxy_url("http://someone:hunter2@p:1")
    assert proxy.authorization == "Basic c29tZW9uZTpodW50ZXIy"
    for text in (repr(proxy), str(proxy), f"{proxy}", "%s" % proxy):  # noqa: UP031 - each way of making a text of it
        assert "hunter2" not in text
        assert "c29tZW9uZTpodW50ZXIy" not in text
