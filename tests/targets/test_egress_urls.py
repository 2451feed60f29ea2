"""URLs that a call may have (guarantee D2)."""

from __future__ import annotations

from ipaddress import ip_network
from urllib.parse import urlsplit

import pytest
import urllib3.util
from hypothesis import example, given
from hypothesis import strategies as st

from targets.egress import MAX_URL_CHARS, EgressPolicy, UrlProblem, check_url, host_of, normal_host, parse_url

REFUSED = [
    ("", "must start with http:// or https://"),
    ("example.com", "must start with http:// or https://"),
    ("//example.com/", "must start with http:// or https://"),
    ("/path", "must start with http:// or https://"),
    ("ftp://example.com/", "must start with http:// or https://"),
    ("file:///etc/passwd", "must start with http:// or https://"),
    ("gopher://example.com/", "must start with http:// or https://"),
    ("javascript:alert(1)", "must start with http:// or https://"),
    ("http:/example.com/", "must start with http:// or https://"),
    ("http:example.com", "must start with http:// or https://"),
    ("xhttp://example.com", "must start with http:// or https://"),
    ("http://", "no host"),
    ("http:///path", "no host"),
    ("http://?x", "no host"),
    ("http://:80/", "no host"),
    (" http://example.com/", "a space"),
    ("http://example.com/a b", "a space"),
    ("http://example.com/\t", "a tab"),
    ("http://exam\tple.com/", "a tab"),
    ("http://example.com/\r\nX: y", "a line break"),
    ("http://example.com\n", "a line break"),
    ("http://example.com/\x00", "U+0000"),
    ("http://example.com/\x1f", "U+001F"),
    ("http://example.com/\x7f", "U+007F"),
    ("http://example.com/\x85", "U+0085"),
    ("http://example.com/\xa0", "U+00A0"),
    ("http://example.com/\u2028", "U+2028"),
    ("http://example.com/\u3000", "U+3000"),
    ("http://example.com/\ud800", "U+D800"),
    ("http:\\\\example.com/", "a backslash"),
    ("http://example.com\\@10.0.0.5/", "a backslash"),
    ("http://example.com/a\\b", "a backslash"),
    ("http://user@example.com/", "user name or password"),
    ("http://user:secret@example.com/", "user name or password"),
    ("http://@example.com/", "user name or password"),
    ("http://example.com@10.0.0.5/", "user name or password"),
    ("http://example.com:80@10.0.0.5/", "user name or password"),
    ("http://example.com:/", "port ''"),
    ("http://example.com:0/", "port '0'"),
    ("http://example.com:65536/", "port '65536'"),
    ("http://example.com:99999999/", "port '99999999'"),
    ("http://example.com:-1/", "port '-1'"),
    ("http://example.com:+80/", "port '+80'"),
    ("http://example.com:80a/", "port '80a'"),
    ("http://example.com:٨٠/", "port '٨٠'"),
    ("http://[::1]:x/", "port 'x'"),
    ("http://127.1/", "four decimal numbers"),
    ("http://127.0.1/", "four decimal numbers"),
    ("http://2130706433/", "four decimal numbers"),
    ("http://0x7f000001/", "four decimal numbers"),
    ("http://0x7f.1/", "four decimal numbers"),
    ("http://0X7F.0.0.1/", "four decimal numbers"),
    ("http://0177.0.0.1/", "four decimal numbers"),
    ("http://127.0.0.01/", "four decimal numbers"),
    ("http://0x/", "four decimal numbers"),
    ("http://127.0.0.1.1/", "four decimal numbers"),
    ("http://256.1.1.1/", "four decimal numbers"),
    ("http://1.2.3.4294967295/", "four decimal numbers"),
    ("http://foo.1/", "four decimal numbers"),
    ("http://foo.0x1./", "four decimal numbers"),
    ("http://\uff11\uff12\uff17.\uff11/", "four decimal numbers"),
    ("http://[::1/", "IPv6"),
    ("http://[]/", "IPv6"),
    ("http://[1::23:80/", "IPv6"),
    ("http://[127.0.0.1]/", "IPv6"),
    ("http://[v1.fe80]/", "IPv6"),
    ("http://[::1]a/", "port '1]a'"),
    ("http://[[::1]]/", "IPv6"),
    ("http://[12345::]/", "IPv6"),
    ("http://[fe80::1%25eth0]/", "zone id"),
    ("http://[fe80::1%eth0]/", "zone id"),
    ("http://::1/", "not a valid host"),
    ("http://a:b:80/", "not a valid host"),
    ("http://a..b/", "not a valid host"),
    ("http://.a/", "not a valid host"),
    ("http://a../", "not a valid host"),
    ("http://./", "not a valid host"),
    ("http://-a.example/", "not a valid host"),
    ("http://a-.example/", "not a valid host"),
    ("http://exa%6dple.com/", "not a valid host"),
    ("http://127.0.0.1%2f.example/", "not a valid host"),
    ("http://a,b/", "not a valid host"),
    ("http://a;b/", "not a valid host"),
    ("http://a*b/", "not a valid host"),
    ("http://{host}/", "not a valid host"),
    ("http://☃.example/", "not a valid host"),
    ("http://xn--a/", "not a valid host"),
    ("http://xn--zca\u0301.example/", "not a valid host"),
    (f"http://{'a' * 64}.example/", "not a valid host"),
    (f"http://{'a.' * 127}example/", "not a valid host"),
]

ACCEPTED = [
    ("http://example.com", "http://example.com/"),
    ("HTTP://Example.COM/A", "http://example.com/A"),
    ("https://example.com:443/", "https://example.com/"),
    ("http://example.com:443/", "http://example.com:443/"),
    ("http://example.com:080/", "http://example.com/"),
    ("http://example.com.:8080/", "http://example.com:8080/"),
    ("http://example.com?x=1", "http://example.com/?x=1"),
    ("http://example.com/a?b?c", "http://example.com/a?b?c"),
    ("http://example.com/a#fragment", "http://example.com/a"),
    ("http://example.com#fragment", "http://example.com/"),
    ("http://example.com/@user:80", "http://example.com/@user:80"),
    ("http://example.com/?u=http://10.0.0.5/", "http://example.com/?u=http://10.0.0.5/"),
    ("http://example.com/ü?q=ß", "http://example.com/%C3%BC?q=%C3%9F"),
    ("http://example.com/%C3%bc%zz", "http://example.com/%C3%bc%zz"),
    ('http://example.com/a[0]={x|y}^`"<>', "http://example.com/a[0]=%7Bx%7Cy%7D%5E%60%22%3C%3E"),
    ("http://example.com//a/./b/../c", "http://example.com//a/./b/../c"),
    ("http://my_service:8080/", "http://my_service:8080/"),
    ("http://bücher.example/", "http://xn--bcher-kva.example/"),
    ("http://BÜCHER.example/", "http://xn--bcher-kva.example/"),
    ("http://faß.de/", "http://xn--fa-hia.de/"),
    ("http://xn--bcher-kva.example/", "http://xn--bcher-kva.example/"),
    ("http://例え。テスト/", "http://xn--r8jz45g.xn--zckzah/"),
    ("http://93.184.215.14/", "http://93.184.215.14/"),
    ("http://93.184.215.14./", "http://93.184.215.14/"),
    ("http://\uff19\uff13.184.215.14/", "http://93.184.215.14/"),
    ("http://1e100.net/", "http://1e100.net/"),
    ("http://1.2.3.4.example/", "http://1.2.3.4.example/"),
    ("http://[2606:4700:0:0::1111]:8080/x", "http://[2606:4700::1111]:8080/x"),
    ("http://[::ffff:8.8.8.8]/", "http://8.8.8.8/"),
]

CLOSED_AT_ONCE = [
    "http://127.0.0.1/",
    "http://127.0.0.1:8000/health",
    "http://\uff11\uff12\uff17.0.0.1/",
    "http://127。0。0。1/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    "http://LOCALHOST/",
    "http://localhost./",
    "http://a.b.localhost/",
    "http://0.0.0.0/",
    "http://[::]/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[fe80::1]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://192.168.1.1/",
]

NAME_PIECES = ["a", "B", "com", ".", ".", "\u00fc", "0x7f", "1", "127.0.0.1", "[::1]", "example.com", "\uff10"]
HOST_PIECES = [*NAME_PIECES, "example.com", ":80", ":81", "@", "_", "-", "%2e", "\\"]
URLS = st.builds(
    lambda scheme, host, mark, rest: f"{scheme}://{''.join(host)}{mark}{rest}",
    st.sampled_from(["http", "https", "HTTP"]),
    st.lists(st.sampled_from(HOST_PIECES), min_size=1, max_size=4),
    st.sampled_from("/?#"),
    st.text(st.sampled_from("/?#@:%2eü.a[]{}|"), max_size=12) | st.text(max_size=8),
)


@pytest.mark.parametrize(("url", "words"), REFUSED)
def test_it_refuses_a_url_and_says_why(url: str, words: str) -> None:
    with pytest.raises(UrlProblem) as refusal:
        parse_url(url)
    assert words in str(refusal.value)


@pytest.mark.parametrize(("url", "called"), ACCEPTED)
def test_it_brings_a_url_into_the_one_spelling_that_is_called(url: str, called: str) -> None:
    assert parse_url(url).text == called


@pytest.mark.parametrize("url", CLOSED_AT_ONCE)
def test_it_refuses_before_any_look_up_whatever_spelling_hides_the_address(url: str) -> None:
    with pytest.raises(UrlProblem, match="EGRESS_ALLOW_CIDRS"):
        check_url(EgressPolicy(), url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/", "http://[::ffff:127.0.0.1]:8000/", "http://localhost:8000"])
def test_it_accepts_an_address_that_the_operator_opened(url: str) -> None:
    opened = EgressPolicy(allow_networks=(ip_network("127.0.0.0/8"),))
    assert check_url(opened, url).port == 8000


def test_it_refuses_a_port_that_is_closed_and_names_the_setting() -> None:
    with pytest.raises(UrlProblem, match=r"Port 6379 .* EGRESS_ALLOW_PORTS"):
        check_url(EgressPolicy(), "http://example.com:6379/")


def test_it_takes_a_url_apart() -> None:
    parts = parse_url("https://Example.com:8443/a/b?c=d#e")
    assert (parts.scheme, parts.host, parts.port, parts.target) == ("https", "example.com", 8443, "/a/b?c=d")
    assert parts.origin == "https://example.com:8443"


@pytest.mark.parametrize(("url", "port"), [("http://a/", 80), ("https://a/", 443)])
def test_it_knows_the_port_of_each_scheme(url: str, port: int) -> None:
    assert parse_url(url).port == port


def test_it_limits_the_length_of_a_url() -> None:
    longest = "http://example.com/".ljust(MAX_URL_CHARS, "a")
    assert parse_url(longest).text == longest
    with pytest.raises(UrlProblem, match="has 8193 characters; at most 8192"):
        parse_url(longest + "a")


@pytest.mark.parametrize(
    ("host", "normal"), [("Example.COM.", "example.com"), ("[0::1]", "::1"), ("BÜCHER.de", "xn--bcher-kva.de")]
)
def test_it_brings_a_host_into_its_one_spelling(host: str, normal: str) -> None:
    assert normal_host(host) == normal


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("HTTP://Example.COM.:8080/{{run_id}} x", "example.com"),
        ("https://[0::1]?{{uuid}}", "::1"),
        ("http://B\u00dcCHER.de#x", "xn--bcher-kva.de"),
        ("http://user@example.com/", ""),
        ("ftp://example.com/", ""),
        ("", ""),
    ],
)
def test_it_finds_the_host_of_a_template(url: str, host: str) -> None:
    assert host_of(url) == host


@given(URLS)
@example("http://a%2f@b/")
def test_what_it_accepts_reads_the_same_to_every_parser(url: str) -> None:
    try:
        parts = parse_url(url)
    except UrlProblem:
        return
    assert parts.text.isascii()
    assert parse_url(parts.text) == parts
    assert urlsplit(parts.text).hostname == parts.host
    transport = urllib3.util.parse_url(parts.text)
    assert (transport.host or "").strip("[]") == parts.host
    assert (transport.port or {"http": 80, "https": 443}[parts.scheme]) == parts.port
