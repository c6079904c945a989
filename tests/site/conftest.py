"""The built site in Chromium, served under a sub-path as a hosting service would."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

HTML = Path(__file__).resolve().parents[2] / "_build" / "html"
SUB_PATH = "course"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: What the browser would otherwise ask of its maker's servers.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def page_names() -> list[str]:
    """Return the pages of the site, without the theme's own templates."""
    pages = [path.relative_to(HTML) for path in HTML.rglob("*.html")]
    # The index at the top only sends the reader on to the first page.
    return sorted(str(p) for p in pages if p.parts[0] != "_static" and p != Path("index.html"))


def explorer_pages() -> list[str]:
    return [n for n in page_names() if 'class="explorer"' in (HTML / n).read_text("utf-8")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "name" in metafunc.fixturenames:
        names = page_names()
        assert names, "the site is not built: run `make site` first"
        metafunc.parametrize("name", names)
    if "explorer_name" in metafunc.fixturenames:
        metafunc.parametrize("explorer_name", explorer_pages())


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep the test report free of one line for each request."""


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the site under /course/ and return its address."""
    root = tmp_path_factory.mktemp("server")
    (root / SUB_PATH).symlink_to(HTML)
    handler = functools.partial(_Handler, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{SUB_PATH}/"
        server.shutdown()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return Chromium: the one that CHROMIUM names, or the first found."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.exit("Chromium is missing. On Debian and Ubuntu: apt-get install chromium", 1)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield chromium
        chromium.close()
