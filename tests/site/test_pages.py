"""Each page of the built site, as a reader's browser shows it.

The oracles are the browser itself and axe-core, the rules of accessibility as a program.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlparse

import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page

from tests.site.conftest import HTML

#: The narrowest phone the course is laid out for, and a common screen, in CSS pixels.
PHONE = {"width": 360, "height": 740}
SCREEN = {"width": 1280, "height": 900}

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


@dataclass
class Visit:
    """A page that was opened, and what went wrong meanwhile."""

    page: Page
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def visit(browser: Browser, base: str, name: str) -> Iterator[Visit]:
    # Without reduced motion axe would measure colours while they fade into each other.
    context = browser.new_context(viewport=SCREEN, color_scheme="light", reduced_motion="reduce")
    seen = Visit(context.new_page())
    note = seen.console.append
    seen.page.on("console", lambda m: note(m.text) if m.type in ("error", "warning") else None)
    seen.page.on("pageerror", lambda error: note(str(error)))
    ours = (base, "data:", "blob:")
    seen.page.on(
        "request", lambda r: None if r.url.startswith(ours) else seen.requests.append(r.url)
    )
    seen.page.on("requestfailed", lambda r: seen.requests.append(f"failed: {r.url}"))
    seen.page.on(
        "response",
        lambda r: seen.requests.append(f"{r.status}: {r.url}") if r.status >= 400 else None,
    )
    seen.page.goto(base + name)
    # MathJax is the last to finish; pages without formulas do not load it.
    seen.page.evaluate("() => window.MathJax?.startup?.promise")
    yield seen
    context.close()


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:120]} {node.get('failureSummary', '')[:200]}"
        for rule in found
        for node in rule["nodes"][:3]
    ]


def test_page(visit: Visit) -> None:
    """Quiet, self-contained, its formulas set, accessible in both themes, as wide as a phone."""
    page = visit.page
    assert visit.console == []
    assert visit.requests == []
    assert page.locator("mjx-merror, merror").count() == 0
    text = page.locator("main").inner_text()
    assert not re.search(r"\$\$|\\\(|\\\[|\\begin\{", text), "a formula is not rendered"
    assert page.evaluate("document.documentElement.lang") == "en"
    assert violations(page) == []

    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    assert violations(page) == []

    page.emulate_media(color_scheme="light")
    page.set_viewport_size(PHONE)
    # What is folded away must fit as well once a reader opens it.
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert page.evaluate(OVERFLOW) == []


def test_links_lead_somewhere(name: str) -> None:
    """Oracle: the files of the site and the ids in them. Other hosts are for another check."""
    soup = BeautifulSoup((HTML / name).read_text("utf-8"), "html.parser")
    broken = []
    for tag, attribute in (("a", "href"), ("img", "src"), ("script", "src"), ("link", "href")):
        for element in soup.find_all(tag):
            target = element.get(attribute)
            if not target or urlparse(target).scheme:
                continue
            address, anchor = urldefrag(urljoin(name, target))
            path = HTML / unquote(urlparse(address).path or name)
            anchored = anchor and path.suffix == ".html"
            if not path.is_file() or (anchored and unquote(anchor) not in _ids(path)):
                broken.append(target)
    assert broken == []


@cache
def _ids(path: Path) -> frozenset[str]:
    return frozenset(re.findall(r'\bid="([^"]+)"', path.read_text("utf-8")))
