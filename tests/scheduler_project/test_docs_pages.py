"""The documentation pages, and the addresses around them."""

from __future__ import annotations

import re

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

PAGES = ["/docs", "/redoc"]
LINK = re.compile(r"""(?:src|href|data-openapi-url)=["']([^"']*)["']""")


def page(path: str) -> str:
    response = Client().get(path)
    assert (response.status_code, response["Content-Type"]) == (200, "text/html; charset=utf-8")
    return response.content.decode()


@pytest.mark.parametrize("path", PAGES)
def test_everything_on_the_page_comes_from_this_host(path: str) -> None:
    links = LINK.findall(page(path))
    assert links
    assert all(link.startswith("/") and not link.startswith("//") for link in links)


@pytest.mark.parametrize("path", PAGES)
def test_every_file_that_the_page_names_exists(path: str) -> None:
    files = [link.removeprefix("/static/") for link in LINK.findall(page(path)) if link.startswith("/static/")]
    assert len(files) >= 3
    assert [name for name in files if finders.find(name) is None] == []


@pytest.mark.parametrize("path", PAGES)
def test_the_page_has_no_inline_script_and_a_policy_against_other_hosts(path: str) -> None:
    assert re.findall(r"<script(?![^>]*\bsrc=)[^>]*>|<style|\son\w+=", page(path)) == []
    policy = Client().get(path)["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "http" not in policy


@pytest.mark.parametrize("path", PAGES)
def test_the_page_points_to_the_document(path: str) -> None:
    assert 'data-openapi-url="/api/v1/openapi.json"' in page(path)


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_read_only(path: str) -> None:
    assert Client().post(path).status_code == 405


def test_the_root_leads_to_the_admin() -> None:
    response = Client().get("/")
    assert (response.status_code, response["Location"]) == (302, "/admin/")


def test_browsers_that_ask_for_an_icon_get_one() -> None:
    response = Client().get("/favicon.ico")
    assert response.status_code == 302
    assert finders.find(response["Location"].removeprefix("/static/")) is not None
