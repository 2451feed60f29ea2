"""What somebody without any credentials gets to see: every address that there is, asked anonymously (D8)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import UUID

import pytest
from django.contrib.admindocs.views import simplify_regex
from django.test import Client
from django.urls import get_resolver

from tests.url_walk import views

pytestmark = pytest.mark.django_db
# The whole list of what is open, with what it answers.
OPEN = {
    "/api/v1/health": {200, 503},
    "/api/v1/openapi.json": {200},
    "/docs": {200},
    "/redoc": {200},
    "/admin/login/": {200},
    "/admin/logout/": {302},
    # For browsers' scripts: the words of the admin's own pages in the site's language.
    "/admin/jsi18n/": {302},
    "/favicon.ico": {302},
    "/": {302},
}
ID = str(UUID(int=7 << 76 | 2 << 62))
SAMPLES = {"id": ID, "pk": ID, "object_id": ID, "verb": "run", "app_label": "targets", "format": "json"}
VERBS = ("get", "post", "put", "patch", "delete", "head", "options")


def addresses() -> Iterator[str]:
    """One example of each address."""
    for address, _ in views(get_resolver()):
        simple = simplify_regex(address).replace("(?:/.*)?", "/anything").replace("(?:/<var>)?", "/anything")
        yield re.sub(r"<(?:\w+:)?(\w+)>", lambda found: SAMPLES.get(found[1], "1"), simple)


def test_a_stranger_sees_the_health_the_documentation_and_the_login_page_and_nothing_else() -> None:
    seen = {}
    for address in sorted(set(addresses())):
        answer = Client(raise_request_exception=False).get(address)
        refused = answer.status_code in (401, 403, 404, 405)
        to_login = answer.status_code == 302 and answer["Location"].startswith("/admin/login/")
        to_slash = answer.status_code == 301
        if not (refused or to_login or to_slash):
            seen[address] = answer.status_code
    assert seen.keys() <= OPEN.keys()
    assert all(status in OPEN[address] for address, status in seen.items()), seen
    assert {"/api/v1/health", "/api/v1/openapi.json", "/docs", "/redoc", "/admin/login/"} <= seen.keys()


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "get"])
def test_a_stranger_changes_nothing_with_any_verb(verb: str) -> None:
    for address in sorted(set(addresses())):
        answer = getattr(Client(raise_request_exception=False), verb)(address)
        assert answer.status_code < 500, address
        if verb in ("post", "put", "patch", "delete") and "/auth/" not in address and address != "/admin/login/":
            refused = answer.status_code in (401, 403, 404, 405)
            away = answer.status_code in (301, 302)
            assert refused or away, (address, answer.status_code)


def test_the_walk_reaches_the_api_and_the_admin() -> None:
    found = set(addresses())
    assert f"/api/v1/targets/{ID}/test" in found
    assert "/admin/targets/target/add/" in found
    assert len(found) > 80
