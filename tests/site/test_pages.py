"""Each page of the built site, as a reader's browser shows it.

The oracles are the browser itself and axe-core, the rules of accessibility as a program. A page is
opened once for all tests of it, in the order in which they stand here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Locator, expect

from tests.site.conftest import (
    HTML,
    PHONE,
    SCREEN,
    SUB_PATH,
    Visit,
    compressed,
    explorer_pages,
    page_names,
    together,
)

MAX_FIRST_LOAD = 1_000_000

each_page = pytest.mark.parametrize(
    "visit", [together(name) for name in page_names()], indirect=True, scope="module"
)
each_page_with_explorers = pytest.mark.parametrize(
    "visit", [together(name) for name in explorer_pages()], indirect=True, scope="module"
)

#: Contrast takes axe minutes on a long page, because it measures each word of each listing. Five
#: elements of each look stand for the rest: what decides is colour, size, weight and ground.
LOOKS = """() => {
  const grounds = new Map([[null, ""]]), counts = new Map();
  const ground = e => {
    if (!grounds.has(e)) {
      const s = getComputedStyle(e);
      const own = [s.backgroundColor, s.backgroundImage, s.opacity, s.filter, s.mixBlendMode];
      const plain = own.join() === "rgba(0, 0, 0, 0),none,1,none,normal";
      grounds.set(e, ground(e.parentElement) + (plain ? "" : own.join()));
    }
    return grounds.get(e);
  };
  for (const e of document.body.querySelectorAll("*")) {
    const s = getComputedStyle(e);
    const text = [...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.data.trim());
    const look = [
      e.tagName, text, e.checkVisibility({visibilityProperty: true}), s.position,
      s.color, s.fontSize, s.fontWeight, ground(e),
    ].join();
    counts.set(look, (counts.get(look) ?? 0) + 1);
    e.toggleAttribute("data-known-look", counts.get(look) > 5);
  }
  axe.configure({rules: [{id: "color-contrast", selector: "*:not([data-known-look])"}]});
}"""

#: What stands beyond the window, outside boxes that scroll by themselves, if the page scrolls.
OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const boxed = e => e.parentElement && e.parentElement !== document.body
    && (getComputedStyle(e.parentElement).overflowX !== "visible" || boxed(e.parentElement));
  const wide = [...document.querySelectorAll("main *")]
    .filter(e => e.getBoundingClientRect().right > width + 1 && !boxed(e));
  return wide.length === 0 ? ["something outside main"]
    : wide.slice(0, 5).map(e => `${e.tagName} ${e.className} ${e.textContent.trim().slice(0, 40)}`);
}"""


#: Two extensions fold, in two ways. What is folded away, or not laid out because it is far from the
#: window, is read by someone later.
UNFOLD = """() => {
  document.head.insertAdjacentHTML(
    "beforeend", "<style>* { content-visibility: visible !important }</style>");
  document.querySelectorAll("details").forEach(d => { d.open = true });
  document.querySelectorAll("button.toggle-button-hidden").forEach(b => b.click());
  // By the second frame scripts have seen the new sizes.
  return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""


@pytest.fixture(scope="module")
def visit(browser: Browser, base: str, request: pytest.FixtureRequest) -> Iterator[Visit]:
    # With motion axe would measure colours while they fade into each other.
    context = browser.new_context(viewport=SCREEN, color_scheme="light", reduced_motion="reduce")
    seen = Visit(context.new_page(), request.param, base)
    seen.open()
    yield seen
    context.close()


@each_page
def test_the_first_load_is_light(visit: Visit) -> None:
    """What the page asked for, compressed, without the explorers in it."""
    weights = {name: compressed(name) for name in set(visit.files)}
    heaviest = sorted(weights.items(), key=lambda item: -item[1])[:6]
    assert sum(weights.values()) <= MAX_FIRST_LOAD, heaviest


@each_page
def test_formulas_are_set(visit: Visit) -> None:
    """While the site was built: no script sets them here, and none is left as TeX."""
    assert not any("mathjax" in name for name in visit.files)
    main = visit.page.locator("main")
    assert main.locator("mjx-merror, merror").count() == 0
    assert main.locator(".math:not(:has(mjx-container))").all_inner_texts() == []
    assert not re.search(r"\$\$|\\\(|\\\[|\\begin\{", main.inner_text()), "a formula is not set"


@each_page
def test_language_and_pictures_have_words(visit: Visit) -> None:
    """Figures stored as files and in pages, those of explorers among them."""
    assert visit.page.evaluate("document.documentElement.lang") == "en"
    mute = visit.page.locator("img:not([alt]), img[alt='']")
    assert mute.evaluate_all("all => all.map(e => e.outerHTML.slice(0, 80))") == []


@each_page_with_explorers
def test_explorers_move(visit: Visit) -> None:
    """Every slider has a name, and changes picture and words by key and by pointer."""
    page = visit.page
    for explorer in page.locator("figure.explorer").all():
        for slider in explorer.locator("input[type=range]").all():
            # What is far from the window is not laid out, and has no words to compare.
            slider.focus()
            label = explorer.locator(f"label[for='{slider.get_attribute('id')}']").inner_text()
            expect(slider).to_have_accessible_name(label)
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


def state(explorer: Locator) -> tuple[str | None, str]:
    frame = explorer.locator(".explorer-frame")
    words = explorer.locator(".explorer-description").inner_text()
    # Those who do not see the picture get the same words.
    assert frame.get_attribute("alt") == words
    return frame.get_attribute("src"), words


@each_page
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(visit: Visit, theme: str) -> None:
    """All rules, those of best practice among them; what is folded away is unfolded."""
    visit.switch(theme)
    visit.page.evaluate(UNFOLD)
    # Who moves by keyboard gets more stops: what scrolls is measured.
    visit.page.keyboard.press("Tab")
    visit.page.evaluate(Axe().axe_script)
    visit.page.evaluate(LOOKS)
    # It would load all style sheets once more, for a rule that is off.
    found = visit.page.evaluate("() => axe.run({resultTypes: ['violations'], preload: false})")
    assert [
        f"{rule['id']}: {node['html'][:120]} {node.get('failureSummary', '')[:200]}"
        for rule in found["violations"]
        for node in rule["nodes"][:3]
    ] == []
    assert any(rule["id"] == "color-contrast" for rule in found["passes"])


@each_page
def test_nothing_is_wider_than_a_phone(visit: Visit) -> None:
    """Also what is folded away, once a reader unfolds it."""
    visit.page.set_viewport_size(PHONE)
    visit.page.evaluate(UNFOLD)
    wide = visit.page.evaluate(OVERFLOW)
    visit.page.set_viewport_size(SCREEN)
    assert wide == []


@each_page
def test_the_page_is_quiet_and_self_contained(visit: Visit) -> None:
    """The last test of a page: neither it nor those before it caused an error."""
    assert visit.console == []
    assert visit.requests == []


@pytest.mark.parametrize("name", [together(name) for name in page_names()])
def test_links_lead_somewhere(name: str) -> None:
    """Oracle: the files of the site and the ids in them. Other hosts are for `make linkcheck`."""
    soup = BeautifulSoup((HTML / name).read_text("utf-8"), "html.parser")
    here, broken = f"/{SUB_PATH}/{name}", []
    for tag, attribute in (("a", "href"), ("img", "src"), ("script", "src"), ("link", "href")):
        for element in soup.find_all(tag):
            target = element.get(attribute)
            if not target or urlsplit(target).scheme:
                continue
            address, anchor = urldefrag(urljoin(here, target))
            path = HTML / unquote(urlsplit(address).path).removeprefix(f"/{SUB_PATH}/")
            anchored = anchor and path.suffix == ".html"
            if not path.is_file() or (anchored and unquote(anchor) not in _ids(path)):
                broken.append(target)
    assert broken == []


@cache
def _ids(path: Path) -> frozenset[str]:
    return frozenset(re.findall(r'\bid="([^"]+)"', path.read_text("utf-8")))
