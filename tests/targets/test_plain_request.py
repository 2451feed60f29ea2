"""A request that is rendered once is the request that each Run would have got."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from targets.placeholders import RenderContext, TemplateProblem
from targets.plain_request import plain_request
from targets.request_draft import prepare_request
from targets.request_spec import RequestTemplate
from tests.factories import NOW

PLAIN = RequestTemplate(
    method="POST",
    url="HTTP://Example.COM/a b?c=d#e".replace(" ", "%20"),
    headers={"Authorization": "Bearer 0123456789", "X-Plain": " y "},
    body_template='{"a": 1}',
    timeout_seconds=5,
    connect_timeout_seconds=2,
    follow_redirects=True,
    verify_tls=False,
    expected_status="200",
    response_must_contain="ok",
)


def context(**fields: Any) -> RenderContext:
    values = {
        "run_id": uuid4(),
        "created_at": NOW,
        "scheduled_at": NOW - timedelta(seconds=3),
        "attempt_number": 2,
        "schedule_id": uuid4(),
        "schedule_name": "s",
        "target_name": "t",
        "attempted_at": NOW,
    }
    return RenderContext(**{**values, **fields})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"body_template": None, "method": "GET"},
        {"body_template": "plain words"},
        {"headers": {"user-agent": "mine", "Content-Type": "text/xml"}},
        {"headers": {}},
        {"auth": {"type": "basic", "username": "anna", "password": "long password"}},
        {"auth": {"type": "bearer", "token": "a-long-token"}},
        {"auth": {"type": "api_key", "name": "k", "value": "0123456789", "in": "query"}},
        # A secret that looks like one of our own headers' values is masked there, too.
        {"headers": {"X-Token": "2026-03-10T11"}},
    ],
)
@pytest.mark.parametrize("schedule", [True, False])
def test_it_is_the_request_that_rendering_gives(changes: dict[str, Any], schedule: bool) -> None:
    template = replace(PLAIN, **changes)
    of_run = context() if schedule else context(schedule_id=None)
    plain = plain_request(template)
    assert plain is not None
    spec, shown = plain.prepare(of_run)
    expected, expected_shown = prepare_request(template, of_run, {})
    assert (spec, shown) == (expected, expected_shown)
    assert isinstance(expected, type(spec))
    # In the same order on the wire.
    assert list(spec.headers) == list(expected.headers)


def test_one_run_leaves_nothing_for_the_next() -> None:
    plain = plain_request(PLAIN)
    assert plain is not None
    plain.prepare(context())
    spec, shown = plain.prepare(context(schedule_id=None))
    assert "X-Scheduler-Schedule-Id" not in spec.headers
    assert "X-Scheduler-Schedule-Id" not in shown.headers


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "http://example.com/{{run_id}}"},
        {"headers": {"X": "{{attempt}}"}},
        {"headers": {"X": "{{secret.NAME}}"}},
        {"body_template": "{{ timestamp }}"},
        {"auth": {"type": "bearer", "token": "{{secret.NAME}}"}},
        {"signing_secrets": ("whsec_AAAA",)},
    ],
)
def test_what_depends_on_the_run_or_the_time_is_not_rendered_once(changes: dict[str, Any]) -> None:
    assert plain_request(replace(PLAIN, **changes)) is None


def test_a_template_that_gives_no_request_says_so() -> None:
    with pytest.raises(TemplateProblem):
        plain_request(replace(PLAIN, headers={"Host": "elsewhere"}))
