"""Headers that a target may send (guarantee D4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.header_rules import header_problem

CLIENT = "is set by the HTTP client"
OURS = "is set by the scheduler on every attempt"
METADATA = "opens the metadata services of clouds"
NOT_A_NAME = "is not a header name"

REFUSED_NAMES = [
    ("Host", CLIENT),
    ("host", CLIENT),
    ("HOST", CLIENT),
    ("Content-Length", CLIENT),
    ("Transfer-Encoding", CLIENT),
    ("Connection", CLIENT),
    ("Keep-Alive", CLIENT),
    ("Proxy-Authorization", CLIENT),
    ("proxy-connection", CLIENT),
    ("Proxy-Anything", CLIENT),
    ("TE", CLIENT),
    ("te", CLIENT),
    ("Trailer", CLIENT),
    ("Upgrade", CLIENT),
    ("Expect", CLIENT),
    ("Accept-Encoding", CLIENT),
    ("Idempotency-Key", OURS),
    ("idempotency-key", OURS),
    ("X-Scheduler-Run-Id", OURS),
    ("X-SCHEDULER-anything", OURS),
    ("webhook-id", OURS),
    ("Webhook-Signature", OURS),
    ("traceparent", OURS),
    ("Metadata", METADATA),
    ("Metadata-Flavor", METADATA),
    ("X-Google-Metadata-Request", METADATA),
    ("X-aws-ec2-metadata-token", METADATA),
    ("X-AWS-EC2-Metadata-Token-TTL-Seconds", METADATA),
    ("X-aliyun-ecs-metadata-token", METADATA),
    ("X-Metadata-Token", METADATA),
    ("X-Metadata-Token-Ttl-Seconds", METADATA),
    ("X-volcengine-ecs-metadata-token", METADATA),
    ("Metadata-Token", METADATA),
    ("Metadata-Token-Expiry-Seconds", METADATA),
    ("X-Identity-Header", METADATA),
    ("", NOT_A_NAME),
    ("X Y", NOT_A_NAME),
    (" X", NOT_A_NAME),
    ("X ", NOT_A_NAME),
    ("X:", NOT_A_NAME),
    (":authority", NOT_A_NAME),
    ("X\r\nHost", NOT_A_NAME),
    ("X\n", NOT_A_NAME),
    ("X\x00", NOT_A_NAME),
    ("Bücher", NOT_A_NAME),
    ("X(y)", NOT_A_NAME),
    ("X,Y", NOT_A_NAME),
    ("X;Y", NOT_A_NAME),
    ("X=Y", NOT_A_NAME),
    ("X@Y", NOT_A_NAME),
    ("X/Y", NOT_A_NAME),
    ('"X"', NOT_A_NAME),
    ("X\\", NOT_A_NAME),
    ("{{run_id}}", NOT_A_NAME),
    ("X\u212a", NOT_A_NAME),
]

ALLOWED_NAMES = [
    "Accept",
    "Accept-Language",
    "Authorization",
    "Content-Type",
    "Cookie",
    "User-Agent",
    "X-API-Key",
    "X-Metadata",
    "Metadata-Version",
    "X-Webhook-Id",
    "Scheduler-Id",
    "Hosts",
    "Tea",
    "Proxy",
    "If-None-Match",
    "x_underscore",
    "!#$%&'*+-.^_`|~09AZaz",
]

REFUSED_VALUES = ["a\r\nb", "a\nb", "a\rb", "\x00", "\x07", "\x7f", "ü", "\u2028", "\ud800", "a\x0bb", "trailing\n"]
ALLOWED_VALUES = ["", " ", "\t", "a b\tc", "!~", '"quoted"; q=0.5, {x}', "Bearer abc.def"]


@pytest.mark.parametrize(("name", "words"), REFUSED_NAMES)
def test_it_refuses_a_header_by_its_name_and_says_why(name: str, words: str) -> None:
    problem = header_problem({"Accept": "*/*", name: "x"})
    assert problem is not None
    assert words in problem


@pytest.mark.parametrize("name", ALLOWED_NAMES)
def test_it_allows_other_names(name: str) -> None:
    assert header_problem({name: "x"}) is None


@pytest.mark.parametrize("value", REFUSED_VALUES)
def test_it_refuses_a_value_that_is_not_printable_ascii(value: str) -> None:
    assert header_problem({"X-Note": value}) == (
        "The value of X-Note has characters other than printable ASCII, space and tab."
    )


@pytest.mark.parametrize("value", ALLOWED_VALUES)
def test_it_allows_printable_values(value: str) -> None:
    assert header_problem({"X-Note": value}) is None


@pytest.mark.parametrize(("one", "other"), [("X-Note", "x-note"), ("x-note", "X-Note"), ("X-NOTE", "X-Note")])
def test_it_refuses_names_that_differ_only_in_case(one: str, other: str) -> None:
    assert header_problem({one: "a", other: "b"}) == f"{one} and {other} are the same header. Keep one of them."


def test_it_allows_64_headers_and_no_more() -> None:
    assert header_problem({f"X-{number}": "x" for number in range(64)}) is None
    assert header_problem({f"X-{number}": "x" for number in range(65)}) == (
        "There are 65 headers; at most 64 can be sent."
    )


def test_it_allows_8_kilobytes_per_header_and_no_more() -> None:
    assert header_problem({"X-Note": "x" * (8192 - 6)}) is None
    assert header_problem({"X-Note": "x" * (8192 - 5)}) == "X-Note has 8193 bytes; a header can have at most 8192."


def test_it_allows_32_kilobytes_in_all_and_no_more() -> None:
    full = {f"X-{number}": "x" * (8192 - 3) for number in range(4)}
    assert header_problem(full) is None
    assert header_problem({**full, "A": ""}) == "The headers have 32769 bytes together; at most 32768 can be sent."


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=5))
def test_what_it_allows_can_not_break_out_of_its_line(headers: dict[str, str]) -> None:
    if header_problem(headers) is None:
        wire = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("ascii")
        assert wire.count(b"\n") == wire.count(b"\r") == len(headers)
