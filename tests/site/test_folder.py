"""The site from a plain folder, opened by a double click: no server, no network."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.site.conftest import HTML, LANDING, SCREEN, Visit, explorer_pages
from tests.site.test_pages import state

FORMULAS = "book/0-start/notation.html"
EXPLORER = explorer_pages()[-1]


@pytest.mark.parametrize("name", [LANDING, FORMULAS, EXPLORER])
def test_a_page_works_from_a_folder(browser: Browser, name: str) -> None:
    context = browser.new_context(viewport=SCREEN, color_scheme="light", offline=True)
    visit = Visit(context.new_page(), name, f"{HTML.as_uri()}/")
    visit.open()
    page = visit.page
    if name != LANDING:
        assert page.locator("main mjx-container").count() > 0
        assert page.locator("main .math:not(:has(mjx-container))").count() == 0
    for explorer in page.locator("figure.explorer").all():
        # What is far from the window is not laid out, and has no words to compare.
        explorer.locator("input[type=range]").first.focus()
        first = state(explorer)
        explorer.locator("input[type=range]").first.press("ArrowRight")
        explorer.locator("input[type=range]").first.press("ArrowRight")
        assert state(explorer) != first
    assert visit.console == []
    assert visit.requests == []
    context.close()


def test_search_works_from_a_folder(page: Page) -> None:
    """It finds pages. It cannot quote them, because a page in a folder may read no other."""
    page.goto(f"{HTML.as_uri()}/search.html?q=vanish")
    results = page.locator("#search-results li a")
    expect(results.filter(has_text="Why gradients vanish").first).to_be_visible(timeout=20_000)


def test_the_folder_leads_to_the_first_page(page: Page) -> None:
    page.goto(f"{HTML.as_uri()}/index.html")
    page.wait_for_url(f"{HTML.as_uri()}/{LANDING}")
