"""The first page and the map: what they take from the lessons is what the lessons say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page

from tests.site.conftest import HTML

MAP = "book/0-start/map.html"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield context.new_page()
    context.close()


def test_the_first_screen_shows_what_for_whom_and_a_result(page: Page, base: str) -> None:
    """Oracle: the boxes of the layout, and the figure in the lesson that the caption links to."""
    page.goto(base + "book/index.html")
    for shown in ("text=For whom.", ".lesson-figure img", ".lesson-figure p", ".paths .sd-card"):
        for element in page.locator(shown).all():
            box = element.bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= 800, shown
    assert page.locator(".paths .sd-card").count() == 3
    figure = page.locator(".lesson-figure img")
    assert figure.evaluate("image => image.complete && image.naturalWidth > 0")
    source, words = figure.evaluate("image => [image.src, image.alt]")
    page.locator(".lesson-figure p a").click()
    page.wait_for_url("**/hopfield.html*")
    assert [source, words] in page.locator("main figure img").evaluate_all(
        "all => all.map(image => [image.src, image.alt])"
    )


def test_the_map_says_what_the_lessons_say(page: Page, base: str) -> None:
    """Oracle: the paragraph *You need first* of each built lesson."""
    page.goto(base + MAP)
    said = page.locator("dl.course-map-list dt").evaluate_all(
        """all => all.map(term => [term.querySelector("a").href,
          [...term.nextElementSibling.querySelectorAll("a")].map(a => a.href)])"""
    )
    drawn = page.locator("svg.course-map a[id]").evaluate_all("all => all.map(a => a.href.baseVal)")
    assert (
        len(drawn)
        == len(said)
        == len(list(HTML.glob("book/[1-8]-*/*.html")))
        - len(list(HTML.glob("book/[1-8]-*/index.html")))
    )
    for lesson, needs in said:
        page.goto(lesson)
        asked = page.locator("p:has(> strong:text-is('You need first')) a").evaluate_all(
            "all => all.map(a => a.href.split('#')[0])"
        )
        expected = [a for a in asked if "/0-start/" not in a and "/9-back/" not in a]
        assert needs == list(dict.fromkeys(expected)), lesson


def test_the_map_marks_what_comes_before(page: Page, base: str) -> None:
    """By keyboard as by pointer. Oracle: the list beneath it, followed to its end."""
    page.goto(base + MAP)
    soup = BeautifulSoup((HTML / MAP).read_text("utf-8"), "html.parser")
    needs: dict[str, set[str]] = {}
    for term in soup.select("dl.course-map-list dt"):
        words = term.find_next_sibling("dd").get_text().partition("A part uses")[0]
        number = term.get_text().split()[0]
        needs[number] = {word for word in words.split() if word[0].isdigit() and "." in word}
    before, waiting = set(), ["5.1"]
    while waiting:
        number = waiting.pop()
        before.add(number)
        waiting += needs[number]

    page.locator("#map-5-1").focus()
    marked = """() => [...document.querySelectorAll("svg.course-map a[id]")]
      .filter(a => getComputedStyle(a.querySelector("circle")).strokeWidth >= "3")
      .map(a => a.textContent.trim().split(" ")[0])"""
    assert {name[:3] for name in page.evaluate(marked)} == before
    page.locator("#map-1-1").focus()
    assert {name[:3] for name in page.evaluate(marked)} == {"1.1"}
    page.locator("#map-5-1 circle").hover()
    assert before <= {name[:3] for name in page.evaluate(marked)}


def test_icons_are_drawn(page: Page, base: str) -> None:
    """By the font alone, without the script of Font Awesome."""
    page.goto(base + "book/index.html")
    assert page.evaluate(
        "document.fonts.load('900 16px \"Font Awesome 6 Free\"').then(f => f.length)"
    )
    icons = page.locator("i.fa-solid:visible, span.fa-solid:visible")
    assert icons.count() > 2
    drawn = "all => all.map(e => getComputedStyle(e, '::before').content)"
    assert "none" not in icons.evaluate_all(drawn)


def test_formulas_speak(page: Page, base: str) -> None:
    """Beside each drawn formula stands the same in MathML, which screen readers read."""
    page.goto(base + "book/5-memory/hopfield.html")
    drawn = page.locator("mjx-container").count()
    assert drawn == page.locator("main .math").count() > 50
    assert page.locator("mjx-container mjx-assistive-mml math").count() == drawn
