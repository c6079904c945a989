"""How a reader moves about the site: search, themes, the keyboard, wrong turns."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.site.conftest import LANDING, PHONE, SCREEN, explorer_pages

#: The shortest page with an explorer stands for the others: all are laid out alike.
EXPLORER = explorer_pages()[-1]

LONG = "book/5-memory/hopfield.html"

#: What the keyboard is on: its name, whether it is in the window, whether it is marked. A link may
#: fill the card around it, and the arrow of the sidebar is larger than the element that it opens.
FOCUSED = """() => {
  const e = document.activeElement;
  if (e === document.body) return null;
  e.dataset.reached = "";
  const after = getComputedStyle(e, "::after");
  const fills = after.content !== "none" && after.position === "absolute";
  const inside = [e, ...e.querySelectorAll("*")];
  const seen = x => {
    const r = x.getBoundingClientRect();
    return x.checkVisibility({opacityProperty: true, visibilityProperty: true})
      && r.width > 0 && r.height > 0
      && r.bottom > 0 && r.right > 0 && r.top < innerHeight && r.left < innerWidth;
  };
  const marked = s => s.boxShadow !== "none"
    || (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0);
  return {
    name: `${e.tagName} ${e.className} ${(e.ariaLabel ?? e.textContent).trim().slice(0, 30)}`,
    seen: (fills ? [e.offsetParent, ...inside] : inside).some(seen),
    marked: marked(after) || inside.some(x => marked(getComputedStyle(x))),
  };
}"""

#: What a pointer could use and the keyboard did not come to.
MISSED = """() => [...document.querySelectorAll(
    "a[href], button, input, select, textarea, summary, [tabindex], [contenteditable]")]
  .filter(e => e.tabIndex >= 0 && !e.disabled && !("reached" in e.dataset)
    && e.checkVisibility({visibilityProperty: true}))
  .map(e => `${e.tagName} ${e.className} ${e.textContent.trim().slice(0, 30)}`)"""

MOVING = """() => [...document.querySelectorAll("*")].filter(e => {
    const s = getComputedStyle(e);
    const timed = s.transitionDuration.split(", ").some(d => d !== "0s");
    // What follows the reader's own scrolling does not move by itself.
    return (s.animationName !== "none" && s.animationTimeline === "auto")
      || s.scrollBehavior === "smooth" || (timed && s.transitionProperty !== "none");
  }).map(e => `${e.tagName} ${e.className}`)"""


def test_the_address_of_the_folder_leads_to_the_first_page(page: Page, base: str) -> None:
    page.goto(base)
    page.wait_for_url(base + LANDING)


def test_search_finds_a_term(page: Page, base: str) -> None:
    """Oracle: the lesson that has the term in its title."""
    page.goto(base + "search.html?q=vanish")
    results = page.locator("#search-results li a")
    expect(results.filter(has_text="Why gradients vanish").first).to_be_visible(timeout=20_000)


def test_the_search_of_a_page_leads_to_results(page: Page, base: str) -> None:
    """By its shortcut, as a reader at the keyboard would."""
    page.goto(base + LANDING)
    page.keyboard.press("Control+k")
    page.keyboard.type("Marchenko")
    page.keyboard.press("Enter")
    expect(page.locator("#search-results li a").first).to_be_visible(timeout=20_000)


def test_the_theme_switch_turns_the_page_dark_and_stays(page: Page, base: str) -> None:
    """Oracle: the attribute that the style sheet reads, also after a reload and elsewhere."""
    page.goto(base + LANDING)
    switch = page.locator("button.theme-switch-button:visible").first
    for _ in range(3):
        if page.evaluate("document.documentElement.dataset.theme") == "dark":
            break
        switch.click()
    for again in (page.reload, lambda: page.goto(base + EXPLORER)):
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        again()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_the_keyboard_reaches_everything_and_shows_where_it_is(page: Page, base: str) -> None:
    """From the first page and from a page with an explorer, with Tab alone, to its end."""
    for name in (LANDING, EXPLORER):
        page.goto(base + name)
        stops = page.locator("a[href], button, input, summary, [tabindex]").count()
        hidden, unmarked = [], []
        # A trap is a place that Tab does not leave: then the end never comes.
        for _ in range(2 * stops):
            page.keyboard.press("Tab")
            focused = page.evaluate(FOCUSED)
            if focused is None:
                break
            hidden += [] if focused["seen"] else [focused["name"]]
            unmarked += [] if focused["marked"] else [focused["name"]]
        else:
            raise AssertionError(f"{name}: Tab does not come to an end")
        assert (name, hidden) == (name, [])
        assert (name, unmarked) == (name, [])
        assert (name, page.evaluate(MISSED)) == (name, [])


@pytest.mark.parametrize("viewport", [PHONE, SCREEN])
def test_a_link_leads_to_its_place_in_a_long_lesson(
    viewport: ViewportSize, browser: Browser, base: str
) -> None:
    """For readers who mind no motion too, on a page that is laid out as they come near."""
    context = browser.new_context(viewport=viewport)
    page = context.new_page()
    page.goto(base + LONG)
    names = page.locator("main section[id], main [id^=equation-]").evaluate_all(
        "all => all.map(e => e.id)"
    )
    assert len(names) > 20
    assert (
        page.locator("main section section").last.evaluate(
            "e => getComputedStyle(e).contentVisibility"
        )
        == "auto"
    )
    for name in names[5::5]:
        page.goto("about:blank")
        page.goto(f"{base}{LONG}#{name}")
        page.wait_for_function(
            """name => {
              const { top } = document.getElementById(name).getBoundingClientRect();
              const end = document.documentElement.scrollHeight - innerHeight - scrollY < 2;
              return top > -1 && (top < 150 || end);
            }""",
            arg=name,
            timeout=5000,
        )
    context.close()


def test_nothing_moves_for_those_who_asked_for_rest(page: Page, base: str) -> None:
    """Oracle: the styles that the browser computed, under reduced motion and without."""
    for name in (LANDING, EXPLORER, "search.html"):
        page.goto(base + name)
        assert (name, page.evaluate(MOVING)) == (name, [])
    page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate(MOVING) != []


def test_a_wrong_address_leads_back_to_the_course(page: Page, base: str) -> None:
    """From any depth: styled, and with links that lead somewhere."""
    for wrong in ("no-such-page.html", "book/1-matrices/no-such-lesson.html"):
        answer = page.goto(base + wrong)
        assert answer is not None
        assert answer.status == 404
        expect(page.get_by_role("heading", level=1)).to_have_text("Page not found")
        assert page.evaluate("document.styleSheets[0].cssRules.length") > 1000
        page.locator("main").get_by_role("link", name="The first page").click()
        page.wait_for_url(base + LANDING)
