"""Requests rendered from templates (guarantees D4, D5 and G8)."""

from __future__ import annotations

import json
import tomllib
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.placeholders import PLACEHOLDERS, RenderContext, TemplateProblem, find_placeholders
from targets.request_spec import (
    MAX_BODY_BYTES,
    VERSION,
    RequestSpec,
    RequestTemplate,
    is_json_template,
    render_request,
)

RUN = UUID("0195a1b2-c3d4-7123-8abc-0123456789ab")
SCHEDULE = UUID("6ba7b810-9dad-41d1-80b4-00c04fd430c8")
KOLKATA = timezone(timedelta(hours=5, minutes=30))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)

CONTEXT = RenderContext(
    run_id=RUN,
    created_at=datetime(2026, 3, 10, 12, 0, 0, 250_000, tzinfo=UTC),
    scheduled_at=datetime(2026, 3, 10, 17, 29, tzinfo=KOLKATA),
    attempt_number=2,
    schedule_id=SCHEDULE,
    schedule_name="Sync orders",
    target_name="Orders API",
    attempted_at=datetime(2026, 3, 10, 12, 0, 7, tzinfo=UTC),
)
TEMPLATE = RequestTemplate(
    method="POST",
    url="https://api.example.com/orders",
    headers={},
    body_template=None,
    timeout_seconds=30,
    connect_timeout_seconds=10,
    follow_redirects=False,
    verify_tls=True,
    expected_status="200-299",
    response_must_contain=None,
)
VALUES = {
    "timestamp": "2026-03-10T12:00:00.250000Z",
    "unix_timestamp": "1773144000",
    "run_id": "0195a1b2-c3d4-7123-8abc-0123456789ab",
    "scheduled_at": "2026-03-10T11:59:00Z",
    "attempt": "2",
    "schedule_id": "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
    "schedule_name": "Sync orders",
    "target_name": "Orders API",
    "uuid": "1526b30b-b22f-515b-b6dc-5f508242a183",
}


def render(*, schedule_name: str = "Sync orders", **fields: Any) -> RequestSpec:
    return render_request(replace(TEMPLATE, **fields), replace(CONTEXT, schedule_name=schedule_name))


def refusal(*, schedule_name: str = "Sync orders", **fields: Any) -> str:
    with pytest.raises(TemplateProblem) as problem:
        render(schedule_name=schedule_name, **fields)
    return str(problem.value)


# --- placeholders -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(VALUES))
def test_it_fills_in_each_placeholder(name: str) -> None:
    assert render(body_template=f"<{{{{{name}}}}}>").body == f"<{VALUES[name]}>".encode()


def test_it_knows_these_placeholders_and_no_others() -> None:
    assert set(PLACEHOLDERS) == set(VALUES)


def test_it_leaves_the_schedule_empty_where_there_is_none() -> None:
    spec = render_request(
        replace(TEMPLATE, body_template="<{{schedule_id}}{{schedule_name}}>"),
        replace(CONTEXT, schedule_id=None, schedule_name=""),
    )
    assert spec.body == b"<>"


@pytest.mark.parametrize("text", ["{{run_id}}", "{{ run_id }}", "{{  run_id}}", "{{run_id\t}}"])
def test_it_allows_white_space_within_the_braces(text: str) -> None:
    assert render(body_template=text).body == str(RUN).encode()


def test_it_gives_the_same_bytes_on_every_attempt() -> None:
    names = [name for name in PLACEHOLDERS if name != "attempt"]
    text = " ".join(f"{{{{{name}}}}}" for name in names)
    template = replace(TEMPLATE, body_template=text, url="https://api.example.com/{{uuid}}?t={{timestamp}}")
    first, last = (render_request(template, replace(CONTEXT, attempt_number=number)) for number in (1, 9))
    assert (first.body, first.url) == (last.body, last.url)


def test_uuid_differs_between_runs() -> None:
    template = replace(TEMPLATE, body_template="{{uuid}}")
    other = replace(CONTEXT, run_id=UUID(int=RUN.int + 1))
    assert render_request(template, CONTEXT).body != render_request(template, other).body


def test_it_never_fills_in_what_a_value_brings_along() -> None:
    spec = render(
        schedule_name="{{run_id}}",
        url="https://api.example.com/{{schedule_name}}",
        headers={"X-Note": "{{schedule_name}}"},
        body_template="{{schedule_name}}",
    )
    assert unquote(spec.url) == "https://api.example.com/{{run_id}}"
    assert (spec.headers["X-Note"], spec.body) == ("{{run_id}}", b"{{run_id}}")


@pytest.mark.parametrize(
    "text",
    [
        "{{secret}}",
        "{{secrets.TOKEN}}",
        "{{}}",
        "{{ }}",
        "{{Run_Id}}",
        "{{run-id}}",
        "{{run_id.hex}}",
        "{{7*7}}",
        "{{run\nid}}",
    ],
)
@pytest.mark.parametrize("place", ["url", "headers", "body_template"])
def test_it_refuses_an_unknown_placeholder_and_lists_the_known_ones(text: str, place: str) -> None:
    wanted: dict[str, Any] = {"url": f"https://a.example/{text}", "headers": {"X-Note": text}, "body_template": text}
    sentence = refusal(**{place: wanted[place]})
    assert "is not a placeholder" in sentence
    assert all(name in sentence for name in PLACEHOLDERS)


@pytest.mark.parametrize("text", ["{run_id}", "{{run_id", "run_id}}", "{ {run_id} }", "{%run_id%}", "${run_id}"])
def test_it_leaves_other_braces_as_they_are(text: str) -> None:
    assert render(body_template=text).body == text.encode()


def test_it_finds_placeholders_in_order() -> None:
    assert find_placeholders('{"a": {{ attempt }}, "b": "{{nope}}{{uuid}}"}') == ["attempt", "nope", "uuid"]


# --- the URL ------------------------------------------------------------------------------------------------


def test_it_percent_encodes_values_in_path_and_query() -> None:
    spec = render(url="https://api.example.com/{{schedule_name}}/x?at={{scheduled_at}}", schedule_name="a/b?c#d&é %")
    assert spec.url == "https://api.example.com/a%2Fb%3Fc%23d%26%C3%A9%20%25/x?at=2026-03-10T11%3A59%3A00Z"


@pytest.mark.parametrize(
    "url",
    [
        "{{run_id}}",
        "{{run_id}}://api.example.com/",
        "http{{run_id}}://api.example.com/",
        "https://{{run_id}}",
        "https://{{run_id}}/",
        "https://{{run_id}}.example.com/",
        "https://api.example.com{{run_id}}",
        "https://api.example.com{{run_id}}/path",
        "https://api.example.com:{{attempt}}/",
        "https://api.example.com:80{{ attempt }}?x",
        "https://{{schedule_name}}@api.example.com/",
    ],
)
def test_it_refuses_placeholders_before_the_path(url: str) -> None:
    assert refusal(url=url) == (
        "Placeholders cannot stand in the scheme, host and port of a URL; only in its path and query."
    )


def test_it_refuses_placeholders_in_the_fragment() -> None:
    assert "fragment" in refusal(url="https://api.example.com/?x={{run_id}}#{{run_id}}")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.example.com/a/{{schedule_name}}/b", ".."),
        ("https://api.example.com/a/{{schedule_name}}", "."),
        ("https://api.example.com/a/.{{schedule_name}}", "."),
        ("https://api.example.com/a/%2e{{schedule_name}}/b", "."),
        ("https://api.example.com/a/.{{schedule_name}}./b", ""),
    ],
)
def test_it_refuses_a_value_that_climbs_out_of_its_place_in_the_path(url: str, name: str) -> None:
    assert "would change the path of the URL" in refusal(url=url, schedule_name=name)


def test_it_takes_dots_that_the_template_itself_has_in_its_path() -> None:
    assert render(url="https://api.example.com/a/../{{attempt}}/.").url == "https://api.example.com/a/../2/."


def test_it_takes_dots_in_a_query_as_they_are() -> None:
    assert render(url="https://api.example.com/?x=/{{schedule_name}}/", schedule_name="..").url.endswith("?x=/../")


@given(TEXT)
def test_no_value_changes_where_a_url_leads(name: str) -> None:
    try:
        spec = render(
            url="https://api.example.com:8443/a/{{schedule_name}}/b?c={{schedule_name}}&d=e", schedule_name=name
        )
    except TemplateProblem:
        assert name in (".", "..")
        return
    parts = urlsplit(spec.url)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "api.example.com:8443", "")
    assert [unquote(part) for part in parts.path.split("/")] == ["", "a", name, "b"]
    assert parse_qsl(parts.query, keep_blank_values=True) == [("c", name), ("d", "e")]


@pytest.mark.parametrize("url", ["ftp://example.com/", "https://user:pw@example.com/", "https://0x7f.1/"])
def test_it_refuses_a_url_that_may_not_be_called(url: str) -> None:
    assert refusal(url=url)


def test_it_limits_the_rendered_url() -> None:
    url = "https://api.example.com/" + "{{schedule_name}}" * 10
    assert "at most 8192 can be sent" in refusal(url=url, schedule_name="ü" * 200)


# --- headers ------------------------------------------------------------------------------------------------


def test_it_sends_the_schedulers_own_headers() -> None:
    assert render().headers == {
        "User-Agent": f"api-scheduler/{VERSION}",
        "Idempotency-Key": VALUES["run_id"],
        "X-Scheduler-Run-Id": VALUES["run_id"],
        "X-Scheduler-Schedule-Id": VALUES["schedule_id"],
        "X-Scheduler-Attempt": "2",
        "X-Scheduler-Scheduled-At": "2026-03-10T11:59:00Z",
    }


def test_it_names_no_schedule_where_there_is_none() -> None:
    headers = render_request(TEMPLATE, replace(CONTEXT, schedule_id=None)).headers
    assert "X-Scheduler-Schedule-Id" not in headers


def test_its_version_is_that_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["version"] == VERSION


def test_it_fills_placeholders_into_header_values() -> None:
    headers = render(headers={"X-Note": " at {{scheduled_at}}, try {{attempt}}\t"}).headers
    assert headers["X-Note"] == "at 2026-03-10T11:59:00Z, try 2"


def test_users_may_set_user_agent_and_content_type_in_any_case() -> None:
    given = {"user-agent": "mine/1", "CONTENT-TYPE": "text/csv"}
    headers = render(headers=given, body_template="{}").headers
    assert {name: headers[name] for name in given} == given
    assert len({name.lower() for name in headers}) == len(headers)


@pytest.mark.parametrize("name", ["idempotency-key", "x-scheduler-attempt", "Host", "Metadata-Flavor"])
def test_it_refuses_headers_that_users_may_not_set_even_if_they_are_stored(name: str) -> None:
    assert name in refusal(headers={name: "x"})


@given(TEXT)
def test_no_value_breaks_out_of_its_header(name: str) -> None:
    try:
        value = render(headers={"X-Note": "{{schedule_name}}"}, schedule_name=name).headers["X-Note"]
    except TemplateProblem as problem:
        assert "X-Note" in str(problem)
        return
    assert value == name.strip(" \t")
    assert all(char == "\t" or " " <= char <= "~" for char in value)


# --- the body -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body_template", "body", "content_type"),
    [
        (None, None, None),
        ("", b"", None),
        ("hello", b"hello", "text/plain; charset=utf-8"),
        ("grüße", "grüße".encode(), "text/plain; charset=utf-8"),
        ('{"a": 1', b'{"a": 1', "text/plain; charset=utf-8"),
        ('{"a": NaN}', b'{"a": NaN}', "text/plain; charset=utf-8"),
        ('{"a": {{run_id}}}', f'{{"a": {RUN}}}'.encode(), "text/plain; charset=utf-8"),
        ('{"a": "ü"}', '{"a": "ü"}'.encode(), "application/json"),
        ('{"a": {{attempt}}}', b'{"a": 2}', "application/json"),
        ('{"a":{"b":{{ unix_timestamp }}}}', b'{"a":{"b":1773144000}}', "application/json"),
        ('["{{attempt}}", "{{run_id}}"]', f'["2", "{RUN}"]'.encode(), "application/json"),
        ('{"{{schedule_name}}": null}', b'{"Sync orders": null}', "application/json"),
    ],
)
def test_it_gives_a_body_the_content_type_that_it_has(
    body_template: str | None, body: bytes | None, content_type: str | None
) -> None:
    spec = render(body_template=body_template)
    assert (spec.body, spec.headers.get("Content-Type")) == (body, content_type)


@pytest.mark.parametrize("content_type", [None, "application/json", "Application/JSON; charset=utf-8", "a/b+json"])
@given(name=TEXT)
def test_any_value_in_a_json_body_still_parses_and_reads_back(content_type: str | None, name: str) -> None:
    spec = render(
        headers={} if content_type is None else {"content-type": content_type},
        body_template='{"{{schedule_name}}": ["{{schedule_name}}", "a {{ schedule_name }} b", {{attempt}}]}',
        schedule_name=name,
    )
    assert json.loads(spec.body or b"") == {name: [name, f"a {name} b", 2]}


@given(TEXT)
def test_any_value_in_a_form_reads_back(name: str) -> None:
    spec = render(
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body_template="name={{schedule_name}}&at={{scheduled_at}}",
        schedule_name=name,
    )
    pairs = parse_qsl((spec.body or b"").decode(), keep_blank_values=True)
    assert pairs == [("name", name), ("at", "2026-03-10T11:59:00Z")]


def test_it_leaves_values_as_they_are_in_any_other_body() -> None:
    spec = render(headers={"Content-Type": "text/csv"}, body_template='"{{schedule_name}}"', schedule_name='a"b\n&')
    assert spec.body == b'"a"b\n&"'


@pytest.mark.parametrize(
    "template",
    [
        r'"\{{schedule_name}}"',
        r'"\{{attempt}}"',
        r'"\u12{{run_id}}"',
        "{{schedule_name}}",
        "[{{timestamp}}]",
        "[0{{attempt}}]",
        "{{{attempt}}: 1}",
        "[" * 100_000 + "]" * 100_000,
    ],
)
def test_it_takes_no_template_for_json_that_some_value_would_break(template: str) -> None:
    assert not is_json_template(template)


@pytest.mark.parametrize(
    "template", ["{}", "[{{attempt}}{{attempt}}, -{{attempt}}]", '"{{run_id}}"', "1" * 5000, " null"]
)
def test_it_takes_a_template_for_json_that_every_value_leaves_intact(template: str) -> None:
    assert is_json_template(template)


def test_it_limits_the_rendered_body() -> None:
    assert render(body_template="x" * MAX_BODY_BYTES).body == b"x" * MAX_BODY_BYTES
    assert refusal(body_template="x" * MAX_BODY_BYTES + "{{attempt}}") == (
        "The body has 262145 bytes; at most 262144 can be sent."
    )


def test_it_stops_filling_in_before_the_values_become_gigabytes() -> None:
    template = "{{secret.s}}" * (MAX_BODY_BYTES // 12)
    context = replace(CONTEXT, secrets={"s": "x" * 8192})
    tracemalloc.start()
    with pytest.raises(TemplateProblem, match="placeholders have more than 1048576 characters"):
        render_request(replace(TEMPLATE, body_template=template), context)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30_000_000


@pytest.mark.parametrize("place", ["url", "headers", "body_template"])
def test_half_a_surrogate_pair_never_raises_anything_but_a_problem(place: str) -> None:
    name = "{{schedule_name}}"
    fields: dict[str, Any] = {
        "url": f"https://a.example/{name}",
        "headers": {"X": name},
        "body_template": f"\udfff{name}",
    }
    try:
        render(schedule_name="\ud800", **{place: fields[place]})
    except TemplateProblem as problem:
        assert str(problem)


def test_it_passes_the_limits_on() -> None:
    spec = render(
        method="PUT",
        timeout_seconds=7,
        connect_timeout_seconds=3,
        follow_redirects=True,
        verify_tls=False,
        expected_status="404",
        response_must_contain="ok",
    )
    assert (spec.method, spec.timeout_seconds, spec.connect_timeout_seconds) == ("PUT", 7, 3)
    assert (spec.follow_redirects, spec.verify_tls) == (True, False)
    assert (spec.expected_status, spec.response_must_contain) == ("404", "ok")
