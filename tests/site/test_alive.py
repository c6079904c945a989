"""What moves on the site: explorers, search, the switch of the theme."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    yield context.new_page()
    context.close()


def state(explorer: Locator) -> tuple[str | None, str]:
    frame = explorer.locator(".explorer-frame")
    words = explorer.locator(".explorer-description").inner_text()
    # Those who do not see the picture get the same words.
    assert frame.get_attribute("alt") == words
    return frame.get_attribute("src"), words


def test_explorers_move(page: Page, base: str, explorer_name: str) -> None:
    """Every slider has a name, and changes picture and words by key and by pointer."""
    page.goto(base + explorer_name)
    for explorer in page.locator("figure.explorer").all():
        for slider in explorer.locator("input[type=range]").all():
            label = explorer.locator(f"label[for='{slider.get_attribute('id')}']").inner_text()
            expect(slider).to_have_accessible_name(label)
            slider.focus()
            page.keyboard.press("Home")
            first = state(explorer)
            page.keyboard.press("ArrowRight")
            assert slider.input_value() == "1"
            assert state(explorer) != first
            page.keyboard.press("Home")
            assert state(explorer) == first
            box = slider.bounding_box()
            assert box is not None
            slider.click(position={"x": box["width"] - 4, "y": box["height"] / 2})
            assert slider.input_value() == slider.get_attribute("max")
            assert state(explorer) != first


def test_search_finds_a_term(page: Page, base: str) -> None:
    """Oracle: the lesson that has the term in its title."""
    page.goto(base + "search.html?q=vanish")
    results = page.locator("#search-results li a")
    expect(results.filter(has_text="Why gradients vanish").first).to_be_visible(timeout=10_000)


def test_the_theme_switch_turns_the_page_dark_and_stays(page: Page, base: str) -> None:
    """Oracle: the attribute that the style sheet reads, also after a reload."""
    page.goto(base + "book/index.html")
    switch = page.locator("button.theme-switch-button:visible").first
    for _ in range(3):
        if page.evaluate("document.documentElement.dataset.theme") == "dark":
            break
        switch.click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
