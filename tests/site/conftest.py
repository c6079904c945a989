"""The built site in Chromium, served under a sub-path as a hosting service would."""

from __future__ import annotations

import functools
import gzip
import http.server
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tools.chromium import MISSING, QUIET, find_chromium

HTML = Path(__file__).resolve().parents[2] / "_build" / "html"
#: The site's own, if it was built for an address: its page for wrong addresses names it.
SUB_PATH = urlsplit(os.environ.get("SITE_URL", "")).path.strip("/") or "course"

#: The narrowest phone the course is laid out for, and a common screen, in CSS pixels.
PHONE: ViewportSize = {"width": 360, "height": 740}
SCREEN: ViewportSize = {"width": 1280, "height": 900}

LANDING = "book/index.html"


def page_names() -> list[str]:
    """Return the pages of the site, the largest first, so that no process begins it at the end.

    Without a site it is the first page alone: then the tests here fail when they run, and those
    elsewhere can still be chosen from among all.
    """
    pages = [path for path in HTML.rglob("*.html") if HTML / "_static" not in path.parents]
    pages.sort(key=lambda path: (-path.stat().st_size, path))
    names = [path.relative_to(HTML).as_posix() for path in pages]
    # The index at the top only sends the reader on to the first page.
    return [name for name in names if name != "index.html"] or [LANDING]


def explorer_pages() -> list[str]:
    def has_explorer(name: str) -> bool:
        return '<figure class="explorer"' in (HTML / name).read_text("utf-8")

    return [n for n in page_names() if not (HTML / n).is_file() or has_explorer(n)]


def together(name: str) -> object:
    """Return a parameter whose tests run in one process (``--dist loadgroup``)."""
    return pytest.param(name, marks=pytest.mark.xdist_group(name))


# --- the server -----------------------------------------------------------------------------------


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep the test report free of one line for each request."""

    def send_error(self, code: int, *rest: str | None) -> None:
        """Show the site's own page at wrong addresses, as hosting services do."""
        if code != HTTPStatus.NOT_FOUND:
            super().send_error(code, *rest)
            return
        body = (HTML / "404.html").read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the site under /course/ and return its address."""
    root = tmp_path_factory.mktemp("server")
    (root / SUB_PATH).parent.mkdir(parents=True, exist_ok=True)
    (root / SUB_PATH).symlink_to(HTML)
    handler = functools.partial(_Handler, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{SUB_PATH}/"
        server.shutdown()


# --- the browser ----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return Chromium: the one that CHROMIUM names, or the first found."""
    assert (HTML / LANDING).is_file(), "the website is not built: run `make site`"
    found = find_chromium()
    if found is None:
        pytest.exit(MISSING, 1)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield chromium
        chromium.close()


@dataclass
class Visit:
    """A page that was opened, and what went wrong since."""

    page: Page
    name: str
    #: Where the site lies; everything else is another host.
    base: str
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    #: The files of the site that the page asked for.
    files: list[str] = field(default_factory=list)

    def open(self) -> None:
        """Open the page."""
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.console.append(str(error)))
        self.page.on("request", lambda request: self._on_request(request.url))
        self.page.on("requestfailed", lambda r: self.requests.append(f"failed: {r.url}"))
        self.page.on("response", lambda r: self._on_response(r.status, r.url))
        self.page.goto(self.base + self.name)

    def _on_console(self, message: object) -> None:
        kind, text = message.type, message.text  # type: ignore[attr-defined]
        if kind in ("error", "warning"):
            self.console.append(text)

    def _on_request(self, url: str) -> None:
        if url.startswith(self.base):
            self.files.append(urlsplit(url.removeprefix(self.base)).path)
        elif not url.startswith(("data:", "blob:")):
            self.requests.append(url)

    def _on_response(self, status: int, url: str) -> None:
        if status >= HTTPStatus.BAD_REQUEST:
            self.requests.append(f"{status}: {url}")

    def switch(self, theme: str) -> None:
        """Let the system ask for a light or dark theme, which the page then shows."""
        self.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        self.page.wait_for_function("t => document.documentElement.dataset.theme === t", arg=theme)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Return an empty page in a profile of its own."""
    # With motion axe would measure colours, and clicks would meet things, on their way.
    context = browser.new_context(viewport=SCREEN, color_scheme="light", reduced_motion="reduce")
    yield context.new_page()
    context.close()


# --- weights --------------------------------------------------------------------------------------


@cache
def compressed(name: str) -> int:
    """Return the weight of a file of the site in bytes, as a server would send it.

    Explorers are left out: they have a limit of their own.
    """
    if not (HTML / name).is_file():
        # A request that failed is for another test.
        return 0
    content = (HTML / name).read_bytes()
    if name.endswith(".html"):
        content = re.sub(rb'<figure class="explorer".*?</figure>', b"", content, flags=re.DOTALL)
    # Fonts and pictures other than drawings are compressed as they are.
    packed = name.endswith((".woff2", ".woff", ".png", ".jpg"))
    return len(content) if packed else len(gzip.compress(content, mtime=0))
