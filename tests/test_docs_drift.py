"""What the documents say against what the code has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.admindocs.views import simplify_regex
from django.core.management import get_commands
from django.urls import URLPattern, URLResolver, get_resolver

from scheduler_project.env_file import BASE_DIR

README = BASE_DIR / "README.md"
CONTRIBUTING = BASE_DIR / "CONTRIBUTING.md"
DOCUMENTS = (README, CONTRIBUTING, BASE_DIR / "SECURITY.md")
API_PREFIX = "api/v1/"
# A row of the settings table: | `NAME` | `default` | meaning |, the default empty or a word where there is none.
SETTING_ROW = re.compile(r"^\|\s*`([A-Z][A-Z0-9_]+)`\s*\|\s*(.*?)\s*\|", re.MULTILINE)
API_PATH = re.compile(r"/api/v1(/[^\s`'\"?)|,;\\]*)")
# How a document writes an id in a path: {id}, $TARGET, ${TARGET}, <id> or an example of one.
ID_IN_PATH = re.compile(r"(?<=/)(\{[^}/]*\}|\$\{?\w+\}?|<[^>/]+>|[0-9a-f]{8}-[0-9a-f-]{27})(?=/|$)")
READERS = re.compile(r"read_\w+")
# Generated, or made from other settings: README says so in words instead of giving a value.
WITHOUT_VALUE = {"SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "ALLOWED_HOSTS"}


def text_of(path: Path) -> str:
    """A document's text."""
    return path.read_text(encoding="utf-8")


def settings_read() -> dict[str, str]:
    """Name and default of every setting that settings.py reads, as the text one would write in `.env`."""
    found = {}
    for node in ast.walk(ast.parse(text_of(BASE_DIR / "scheduler_project" / "settings.py"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and READERS.fullmatch(node.func.id):
            name, *rest = node.args
            default = rest[0] if rest else next((word.value for word in node.keywords if word.arg == "default"), None)
            if isinstance(name, ast.Constant) and name.value not in found:
                found[str(name.value)] = _as_written(default)
    return found


def _as_written(default: ast.expr | None) -> str:
    if not isinstance(default, ast.Constant):
        return ""
    return str(default.value).lower() if isinstance(default.value, bool) else str(default.value)


def api_paths() -> set[str]:
    """Every path under the API's prefix, ids as `{id}`."""
    routes = {simplify_regex(route).removeprefix("/") for route in _routes(get_resolver())}
    return {
        "/" + re.sub(r"<[^>]+>", "{id}", route.removeprefix(API_PREFIX))
        for route in routes
        if route.startswith(API_PREFIX) and "<format>" not in route
    } - {"/"}


def _routes(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    for pattern in resolver.url_patterns:
        route = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern, route)
        elif isinstance(pattern, URLPattern):
            yield route


def paths_named(text: str) -> set[str]:
    """Every path under the API's prefix that a document names, ids as `{id}`."""
    return {ID_IN_PATH.sub("{id}", found.rstrip("./")) for found in API_PATH.findall(text)} - {""}


def make_targets() -> set[str]:
    """The Makefile's targets that are for people."""
    return set(re.findall(r"^([a-z-]+):", text_of(BASE_DIR / "Makefile"), re.MULTILINE))


def dependencies(name: str) -> set[str]:
    """The packages that a requirements*.in asks for, without versions."""
    lines = [line.strip() for line in text_of(BASE_DIR / name).splitlines()]
    return {re.split(r"[<>=~;]", line)[0] for line in lines if line and not line.startswith(("#", "-"))}


def test_every_direct_dependency_has_its_reason_and_no_other_has() -> None:
    explained = re.findall(r"^\| `([^`]+)` \|", text_of(BASE_DIR / "docs/decisions/0002-dependencies.md"), re.MULTILINE)
    assert sorted(explained) == sorted(dependencies("requirements.in") | dependencies("requirements-dev.in"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_that_a_document_names_exists(path: Path) -> None:
    assert set(re.findall(r"\bmake ([a-z][a-z-]*)\b(?=[`\s]*(?:$|[^a-z\s]))", text_of(path), re.MULTILINE)) <= (
        make_targets()
    )


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_management_command_that_a_document_names_exists(path: Path) -> None:
    assert set(re.findall(r"manage\.py (\w+)", text_of(path))) <= set(get_commands())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_a_document_links_to_exists(path: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", text_of(path))
    assert [link for link in links if not (BASE_DIR / link).exists()] == []


@pytest.mark.parametrize("path", sorted((BASE_DIR / "docs" / "decisions").glob("*.md")), ids=lambda path: path.name)
def test_a_decision_is_numbered_as_its_file(path: Path) -> None:
    assert text_of(path).startswith(f"# {int(path.name[:4])}. ")


def test_the_readme_lists_every_setting_with_its_default() -> None:
    rows = dict(SETTING_ROW.findall(text_of(README)))
    settings = settings_read()
    assert rows.keys() >= settings.keys()
    differing = {
        name: (rows[name], default)
        for name, default in settings.items()
        if name not in WITHOUT_VALUE and rows[name].strip("`") != default
    }
    assert differing == {}


def test_the_readme_lists_no_setting_that_nothing_reads() -> None:
    assert {name for name, _ in SETTING_ROW.findall(text_of(README))} <= settings_read().keys()


def test_the_readme_names_every_path_of_the_api() -> None:
    text = ID_IN_PATH.sub("{id}", text_of(README))
    missing = {path for path in api_paths() if f"/api/v1{path}" not in text and f"{path}`" not in text}
    assert missing == set()


def test_the_readme_names_no_path_that_the_api_does_not_have() -> None:
    assert paths_named(text_of(README)) <= api_paths()


def test_settings_are_found_with_their_defaults() -> None:
    found = settings_read()
    assert found["MAX_RETRIES"] == "3"
    assert found["DEBUG"] == "false"
    assert found["EGRESS_ALLOW_CIDRS"] == ""
    assert found.keys() >= WITHOUT_VALUE


def test_paths_are_found_whatever_stands_for_the_id() -> None:
    text = (
        '`GET /api/v1/runs/{id}/replay` curl $URL/api/v1/runs/$RUN "http://h/api/v1/health", /api/v1/targets?limit=1.'
    )
    assert paths_named(text) == {"/runs/{id}/replay", "/runs/{id}", "/health", "/targets"}


def test_the_apis_own_paths_are_found() -> None:
    assert {"/health", "/metrics", "/metrics/prometheus", "/openapi.json"} <= api_paths()
