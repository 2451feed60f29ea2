"""The OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import get_resolver
from openapi_spec_validator import validate

from scheduler_project.env_file import BASE_DIR
from tests.signed_in import problem_of
from tests.url_walk import views

COMMITTED = BASE_DIR / "docs" / "openapi.json"


@cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Client().get("/api/v1/openapi.json").content)
    return found


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def headers_of(operation: dict[str, Any]) -> set[str]:
    return {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "header"}


def test_anybody_may_read_it() -> None:
    response = Client().get("/api/v1/openapi.json", HTTP_ACCEPT="text/html")
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize("method", ["post", "delete", "options"])
def test_it_can_only_be_read(method: str) -> None:
    response = getattr(Client(enforce_csrf_checks=True), method)("/api/v1/openapi.json")
    problem_of(response, 405)
    assert response["Allow"] == "GET, HEAD"


def test_it_is_valid_openapi() -> None:
    assert document()["openapi"].startswith("3.1")
    validate(document())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_committed_copy_is_up_to_date(tmp_path: Path) -> None:
    fresh = tmp_path / "openapi.json"
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", "--file", str(fresh))
    assert fresh.read_text() == COMMITTED.read_text(), "run `make schema` and commit docs/openapi.json"


def test_it_lists_every_address_of_the_api() -> None:
    documented = {path.replace("{id}", "ID") for path in document()["paths"]}
    served = set()
    for address, pattern in views(get_resolver()):
        if getattr(pattern.callback, "cls", None) and address.startswith("api/v1/"):
            plain = address.replace("^", "").replace("$", "").replace("\\Z", "")
            start, _, rest = plain.partition("(?P<id>")
            served.add("/" + start + ("ID" + rest.rpartition(")")[2] if rest else ""))
    assert documented == served


def test_every_operation_but_health_needs_a_key_or_a_session() -> None:
    for _, path, operation in operations():
        if path != "/api/v1/health" and not path.startswith("/api/v1/auth/"):
            assert operation["security"] == [{"tokenAuth": []}, {"bearerAuth": []}, {"cookieAuth": []}]
            assert {"401", "403", "429"} <= set(operation["responses"])
    assert "security" not in document()["paths"]["/api/v1/health"]["get"]


def test_the_security_schemes_are_a_key_a_token_and_the_session_cookie() -> None:
    schemes = document()["components"]["securitySchemes"]
    kinds = {"bearerAuth": "http", "tokenAuth": "http", "cookieAuth": "apiKey"}
    assert {name: scheme["type"] for name, scheme in schemes.items()} == kinds


def test_signing_in_needs_no_credentials_and_can_be_refused() -> None:
    for _, path, operation in operations():
        if path.startswith("/api/v1/auth/"):
            assert "security" not in operation
            assert {"401", "422", "429", "503"} <= set(operation["responses"])
            assert "409" not in operation["responses"]


def test_every_error_is_a_problem() -> None:
    for _, _, operation in operations():
        for status, response in operation["responses"].items():
            if status >= "4" and "application/problem+json" in response["content"]:
                schema = response["content"]["application/problem+json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}


def test_an_id_can_be_unknown_and_a_body_wrong() -> None:
    for _, path, operation in operations():
        assert ("404" in operation["responses"]) == ("{id}" in path or path.endswith("/metrics"))
        if "requestBody" in operation:
            assert {"400", "413", "415", "422"} <= set(operation["responses"])


def test_headers_are_named_where_they_count() -> None:
    for method, path, operation in operations():
        kept = method == "post" and not path.startswith("/api/v1/auth/")
        assert ("Idempotency-Key" in headers_of(operation)) == kept
        assert ("If-Match" in headers_of(operation)) == (method in ("patch", "delete"))
        assert ("412" in operation["responses"]) == (method in ("patch", "delete"))


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("targets", "post", "201"), ("targets/{id}", "get", "200"), ("schedules/{id}", "patch", "200")],
)
def test_versions_are_named_where_they_are_given(path: str, method: str, status: str) -> None:
    assert "ETag" in document()["paths"][f"/api/v1/{path}"][method]["responses"][status]["headers"]
    assert "headers" not in document()["paths"]["/api/v1/targets"]["get"]["responses"]["200"]


def test_every_post_honours_the_idempotency_key() -> None:
    deaf = []
    for address, pattern in views(get_resolver()):
        view: Any = pattern.callback
        name = getattr(view, "actions", {}).get("post")
        if address.startswith("api/v1/") and name:
            handler = getattr(view.cls, name)
            if not getattr(handler, "honours_idempotency_key", False):
                deaf.append(address)
    assert deaf == []
