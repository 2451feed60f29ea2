"""What is sent, and what is stored of it: never the secrets, and never to a host that a secret is not for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from targets.masking import MASK
from targets.placeholders import TemplateProblem
from targets.request_draft import RequestDraft, prepare_request
from targets.request_spec import ShownRequest
from targets.secret_places import SecretSource
from tests.targets.auths import PLAIN_CANARY
from tests.targets.test_auth import CONTEXT, TEMPLATE

NAMING: dict[str, dict[str, Any]] = {
    "header": {"headers": {"X-A": "{{secret.CRM}}"}},
    "query": {"url": "https://api.example.com/?k={{secret.CRM}}"},
    "body": {"body_template": "{{secret.CRM}}"},
    "auth": {"auth": {"type": "bearer", "token": "{{secret.CRM}}"}},
}


def shown(**fields: Any) -> ShownRequest:
    return prepare_request(replace(TEMPLATE, **fields), CONTEXT, {})[1]


def source(*hosts: str) -> dict[str, SecretSource]:
    return {"CRM": SecretSource("CRM", PLAIN_CANARY, None, hosts)}


def test_a_secret_header_is_masked_however_short_it_is() -> None:
    # Too short to be looked for: it is the name that says so.
    assert shown(headers={"X-Api-Key": "k1"}).headers["X-Api-Key"] == MASK


@pytest.mark.parametrize(
    "fields",
    [
        {"url": f"https://api.example.com/?k={PLAIN_CANARY}"},
        {"body_template": f"it is {PLAIN_CANARY}"},
        {"headers": {"X-Api-Key": PLAIN_CANARY, "X-Note": f"it is {PLAIN_CANARY}"}},
    ],
)
def test_a_known_secret_that_stands_elsewhere_too_is_masked_there(fields: dict[str, Any]) -> None:
    found = shown(**{"headers": {"X-Api-Key": PLAIN_CANARY}, **fields})
    assert PLAIN_CANARY not in repr(found)


@pytest.mark.parametrize("place", NAMING)
def test_a_named_secret_is_shown_masked_wherever_it_stands(place: str) -> None:
    draft, found = prepare_request(replace(TEMPLATE, **NAMING[place]), CONTEXT, source())
    assert isinstance(draft, RequestDraft)
    assert PLAIN_CANARY not in repr(found) + repr(draft)
    assert MASK in repr(found)


@pytest.mark.parametrize("place", NAMING)
def test_a_secret_is_sent_to_its_own_hosts_only_whatever_was_saved(place: str) -> None:
    template = replace(TEMPLATE, **NAMING[place])
    assert isinstance(prepare_request(template, CONTEXT, source("api.example.com"))[0], RequestDraft)
    with pytest.raises(TemplateProblem, match=r"may not be sent to api\.example\.com"):
        prepare_request(template, CONTEXT, source("other.example"))


@pytest.mark.parametrize("place", NAMING)
def test_a_secret_that_is_gone_stops_the_request(place: str) -> None:
    with pytest.raises(TemplateProblem, match="There is no secret named 'CRM'"):
        prepare_request(replace(TEMPLATE, **NAMING[place]), CONTEXT, {})
