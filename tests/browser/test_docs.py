"""The documentation pages in a browser: light and dark, as the system or the admin's switch says."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NewPage

pytestmark = [pytest.mark.any_database, pytest.mark.django_db(transaction=True), pytest.mark.no_cover]

# Each page's heading, which says that the viewer has drawn it.
PAGES = {"/docs": "#swagger-ui h1, #swagger-ui h2.title", "/redoc": "#redoc h1"}
CONTRAST = """heading => {
  const grey = text => { const [r, g, b] = text.match(/[\\d.]+/g).map(Number); return (r + g + b) / 3; };
  return [grey(getComputedStyle(heading).color), grey(getComputedStyle(document.body).backgroundColor)];
}"""


def tones(page: Page, path: str) -> tuple[float, float]:
    """How bright the heading and the page behind it are, 0 to 255."""
    page.goto(path)
    heading = page.locator(PAGES[path]).first
    # ReDoc reads the whole document before it draws: seconds on a loaded machine.
    expect(heading).to_be_visible(timeout=60_000)
    text, ground = heading.evaluate(CONTRAST)
    return text, ground


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_light_or_dark_as_the_system_is(new_page: NewPage, path: str) -> None:
    text, ground = tones(new_page(color_scheme="light"), path)
    assert text < 100
    assert ground > 200
    text, ground = tones(new_page(color_scheme="dark"), path)
    assert ground < 60
    assert text > 150


@pytest.mark.parametrize("path", PAGES)
def test_what_was_chosen_in_the_admin_counts_more(new_page: NewPage, path: str) -> None:
    page = new_page(color_scheme="light")
    page.add_init_script("localStorage.setItem('theme', 'dark')")
    assert tones(page, path)[1] < 60


@pytest.mark.parametrize("path", PAGES)
def test_a_page_follows_when_the_system_changes(new_page: NewPage, path: str) -> None:
    page = new_page(color_scheme="light")
    tones(page, path)
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_class(re.compile("dark-mode"), timeout=60_000)
    expect(page.locator(PAGES[path]).first).to_be_visible(timeout=60_000)


@pytest.mark.parametrize("path", PAGES)
def test_a_phone_shows_the_page_without_scrolling_sideways(new_page: NewPage, path: str) -> None:
    page = new_page(viewport={"width": 390, "height": 844})
    tones(page, path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
