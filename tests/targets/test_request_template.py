"""From the row to the value."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from targets.models import Target
from targets.placeholders import TemplateProblem
from targets.request_template import request_template
from targets.secrets import Undecryptable
from tests.factories import NOW, make_target


@pytest.mark.django_db
def test_it_carries_every_part_of_the_stored_request() -> None:
    fields = {
        "method": "PUT",
        "url": "https://api.example.com/{{run_id}}",
        "headers": {"X-API-Key": "k"},
        "body_template": "{}",
        "timeout_seconds": 7.0,
        "connect_timeout_seconds": 3.0,
        "follow_redirects": True,
        "verify_tls": False,
        "expected_status": "404",
        "response_must_contain": "ok",
        "auth": {"type": "bearer", "token": "t"},
    }
    target = make_target(**fields)
    assert asdict(request_template(Target.objects.get(pk=target.pk), now=NOW)) == {**fields, "signing_secrets": ()}


def test_headers_that_cannot_be_decrypted_are_a_problem_of_the_template_that_names_the_setting() -> None:
    fields: dict[str, Any] = {"url": "http://example.com/", "headers": Undecryptable()}
    with pytest.raises(TemplateProblem, match="FIELD_ENCRYPTION_KEYS"):
        request_template(Target(**fields), now=NOW)
