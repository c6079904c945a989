"""What depends on where the site is published, and on what git knows: links, cards, dates, 404.

A part of the book is built for made-up addresses, beside the site that `make site` has built for
those of its environment. The oracles are the rules by which the services form their addresses, and
the browser.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from matplotlib.image import imread
from playwright.sync_api import Browser, Page

from tests.site.conftest import HTML
from tools import build_book
from tools.published import read_repository, read_site_url

# One process builds the site for all tests of this file.
pytestmark = pytest.mark.xdist_group("published")

ROOT = Path(__file__).resolve().parents[2]
REPOSITORY = "https://github.com/someone/a-course"
SITE = "https://someone.example/a-course/"
LESSON = "book/2-backpropagation/forward"
TOC = f"""\
format: jb-book
root: book/index
chapters:
  - file: book/2-backpropagation/index
  - file: {LESSON}
  - file: book/9-back/changes
"""


def build(root: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [*build_book.JUPYTER_BOOK, "build", *options, "."]
    known = {name: value for name, value in os.environ.items() if name not in build_book.ADDRESSES}
    return subprocess.run(
        command, cwd=root, env={**known, **variables}, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build four pages of the book as for GitHub; their links to the others lead nowhere."""
    root = tmp_path_factory.mktemp("published")
    for path in ROOT.iterdir():
        if path.name not in ("_build", "_toc.yml"):
            (root / path.name).symlink_to(path)
    (root / "_toc.yml").write_text(TOC)
    # As a workflow of GitHub gives it: without the slash at the end.
    variables = {"REPOSITORY": REPOSITORY, "BRANCH": "main", "SITE_URL": SITE.rstrip("/")}
    done = build(root, **variables)
    assert done.returncode == 0, done.stderr[-2000:]
    return root / "_build" / "html"


def soup(path: Path) -> BeautifulSoup:
    """Return what stands around the article, which takes long to read and is not looked at here."""
    around = re.sub(r"<article.*</article>", "", path.read_text("utf-8"), flags=re.DOTALL)
    return BeautifulSoup(around, "html.parser")


def meta(page: BeautifulSoup) -> dict[str, str]:
    tags = page.find_all("meta", content=True)
    return {str(t.get("property") or t.get("name")): str(t["content"]) for t in tags}


def buttons(page: BeautifulSoup) -> set[str]:
    """Return where the buttons above a page lead outside the site."""
    links = page.select(".article-header-buttons a[href]")
    return {str(a["href"]) for a in links if urlsplit(str(a["href"])).scheme}


@contextmanager
def serve(html: Path, folder: Path, prefix: str) -> Iterator[str]:
    """Serve a site under a prefix, with its own page for addresses that it does not have."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Keep the test report free of one line for each request."""

        def send_error(self, code: int, *_: object, **__: object) -> None:
            self.send_response(code)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write((html / "404.html").read_bytes())

    top = folder / "server"
    (top / prefix).parent.mkdir(parents=True, exist_ok=True)
    (top / prefix).symlink_to(html)
    handler = functools.partial(Handler, directory=str(top))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(color_scheme="light", reduced_motion="reduce")
    yield context.new_page()
    context.close()


def violations(page: Page, part: str | None = None) -> list[str]:
    found = Axe().run(page, part).response["violations"]
    return [f"{rule['id']}: {node['html'][:160]}" for rule in found for node in rule["nodes"]]


# --- with addresses -------------------------------------------------------------------------------


def test_the_buttons_lead_to_the_repository_and_to_the_services_that_run_it(
    published: Path,
) -> None:
    """Oracle: the addresses that GitHub, Binder and Colab document."""
    assert buttons(soup(published / f"{LESSON}.html")) == {
        REPOSITORY,
        f"{REPOSITORY}/blob/main/{LESSON}.ipynb",
        f"https://mybinder.org/v2/gh/someone/a-course/main?urlpath=lab/tree/{LESSON}.ipynb",
        f"https://colab.research.google.com/github/someone/a-course/blob/colab/{LESSON}.ipynb",
    }
    # What is not a notebook cannot be run.
    assert buttons(soup(published / "book/9-back/changes.html")) == {
        REPOSITORY,
        f"{REPOSITORY}/blob/main/book/9-back/changes.md?plain=1",
    }
    history = soup(published / f"{LESSON}.html").select_one(".last-updated a")
    assert history is not None
    assert history["href"] == f"{REPOSITORY}/commits/main/{LESSON}.ipynb"


def test_a_link_to_a_lesson_shows_its_title_its_question_and_a_picture(published: Path) -> None:
    """Oracle: the lesson's first cell."""
    notebook = json.loads((ROOT / f"{LESSON}.ipynb").read_text("utf-8"))
    title, *_ = opening = "".join(notebook["cells"][0]["source"]).splitlines()
    question = next(line for line in opening if line.startswith("**Question.** "))
    tags = meta(soup(published / f"{LESSON}.html"))
    assert tags["og:title"] == title.removeprefix("# ")
    assert tags["og:site_name"] == "Matrices and Memory"
    assert tags["og:description"] == tags["description"] == question.removeprefix("**Question.** ")
    assert tags["og:url"] == f"{SITE}{LESSON}.html"
    picture = published / tags["og:image"].removeprefix(SITE)
    size = (int(tags["og:image:height"]), int(tags["og:image:width"]))
    assert imread(picture).shape[:2] == size


def test_search_engines_learn_the_address_of_every_page(published: Path) -> None:
    """Oracle: the pages that were built, and the canonical link of each."""
    pages = [p for p in published.rglob("*.html") if "_static" not in p.parts]
    canonical = {}
    for path in pages:
        link = soup(path).find("link", rel="canonical")
        canonical[str(path.relative_to(published))] = link["href"] if link else None
    # The page at the top is the first page. What is shown for a wrong address has none itself.
    assert canonical.pop("index.html") == f"{SITE}book/index.html"
    assert canonical.pop("404.html") is None
    assert canonical == {name: SITE + name for name in canonical}

    listed = [e.text for e in ElementTree.parse(published / "sitemap.xml").iter() if e.text]
    listed = [text for text in listed if text.startswith("http")]
    assert sorted(listed) == sorted(set(canonical.values()) - {f"{SITE}search.html"})
    assert f"Sitemap: {SITE}sitemap.xml" in (published / "robots.txt").read_text()


def test_the_card_of_the_first_page_is_at_the_top_too(published: Path) -> None:
    first, top = soup(published / "book/index.html"), soup(published / "index.html")
    cards = [{k: v for k, v in meta(p).items() if k.startswith("og:")} for p in (first, top)]
    assert cards[0] == cards[1]
    assert cards[0]["og:title"] == "Matrices and Memory"


def test_the_buttons_ask_no_other_host_and_are_accessible(
    published: Path, page: Page, tmp_path: Path
) -> None:
    with serve(published, tmp_path, "a-course") as base:
        outside: list[str] = []
        ours = (base, "data:", "blob:")
        page.on("request", lambda r: None if r.url.startswith(ours) else outside.append(r.url))
        page.goto(f"{base}a-course/{LESSON}.html")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
            for menu in page.locator(".article-header-buttons .dropdown-toggle").all():
                menu.click()
                assert violations(page, ".article-header-buttons") == []
        assert outside == []


# --- a page that is not there, and the page at the top --------------------------------------------


WRONG_ADDRESSES = [
    (True, "a-course", "book/gone/lesson.html"),
    (True, "a-course", "gone/for/good.html"),
]
# The ordinary site, unless it was built for an address of its own.
if read_site_url(os.environ) is None:
    WRONG_ADDRESSES += [
        (False, "a-course", "book/gone/lesson.html"),
        (False, "a-course", "gone.html"),
        (False, "book", "book/gone/lesson.html"),
        (False, "", "book/gone.html"),
    ]


@pytest.mark.parametrize(("known", "prefix", "missing"), WRONG_ADDRESSES)
def test_the_page_for_a_wrong_address_leads_back(
    known: bool,
    prefix: str,
    missing: str,
    published: Path,
    page: Page,
    tmp_path: Path,
) -> None:
    """Oracle: the browser follows its links; its own style has arrived, and axe finds no fault."""
    html = published if known else HTML
    with serve(html, tmp_path, prefix) as base:
        top = base + (f"{prefix}/" if prefix else "")
        answer = page.goto(top + missing)
        assert answer is not None
        assert answer.status == 404
        assert page.locator("h1:visible").inner_text() == "Page not found"
        assert violations(page) == []
        assert (
            page.evaluate("getComputedStyle(document.querySelector('.notfound-search')).display")
            == "flex"
        )
        links = page.locator("main article a[href], .bd-sidebar-primary a[href]")
        addresses = set(links.evaluate_all("all => all.map(a => a.href)"))
        within = {a.removeprefix(top).split("#")[0] for a in addresses if a.startswith(base)}
        assert {"book/index.html", "genindex.html"} <= within
        assert [a for a in within if not (html / a).is_file()] == []
        assert (
            page.locator("#pst-skip-link a").evaluate("a => a.href") == f"{page.url}#main-content"
        )
        page.fill("#notfound-words", "gradient")
        page.locator(".notfound-search button").click()
        page.wait_for_url(f"{top}search.html?q=gradient")


@pytest.mark.parametrize("how", ["plain folder", "without scripts"])
def test_the_page_at_the_top_leads_to_the_first(
    how: str, browser: Browser, base: str, tmp_path: Path
) -> None:
    context = browser.new_context(java_script_enabled=how != "without scripts")
    page = context.new_page()
    page.goto(base + "index.html" if how == "without scripts" else (HTML / "index.html").as_uri())
    page.wait_for_url("**/book/index.html")
    assert page.title() == "Matrices and Memory"
    context.close()
    assert soup(HTML / "index.html").html["lang"] == "en"


# --- without --------------------------------------------------------------------------------------


def test_the_site_names_no_address_that_it_was_not_given() -> None:
    """Oracle: the variables that `make` hands to the build and to the tests alike."""
    repository, site_url = read_repository(os.environ), read_site_url(os.environ)
    pages = [p for p in HTML.rglob("*.html") if "_static" not in p.relative_to(HTML).parts]
    assert len(pages) > 10
    for path in pages:
        page = soup(path)
        if repository is None:
            assert buttons(page) == set()
            assert page.select(".last-updated a") == []
        if site_url is None:
            assert not {"og:url", "og:image"} & set(meta(page))
            assert page.find("link", rel="canonical") is None
            assert not (HTML / "sitemap.xml").exists()


def test_every_page_has_a_title_and_a_description_of_its_own() -> None:
    pages = [p for p in HTML.rglob("*.html") if "_static" not in p.relative_to(HTML).parts]
    pages.remove(HTML / "index.html")
    titles, descriptions = {}, {}
    for path in pages:
        page = soup(path)
        assert page.title is not None
        text = meta(page).get("description", "")
        assert 20 < len(text) <= 160, (path, text)
        assert not re.search(r"[\\$]", text), (path, text)
        titles.setdefault(page.title.get_text(), []).append(path)
        descriptions.setdefault(text, []).append(path)
    assert [paths for paths in titles.values() if len(paths) > 1] == []
    assert [paths for paths in descriptions.values() if len(paths) > 1] == []
