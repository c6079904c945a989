"""Measure pages of the built website with Lighthouse, and print a table of scores.

Run as ``make lighthouse``; needs Chromium, Node and, the first time, the network. Each page is
measured three times and the median shown, because performance depends on what else the machine
does. Not part of ``make test`` for that reason.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import http.server
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.chromium import MISSING, QUIET, find_chromium

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
LIGHTHOUSE = "lighthouse@12.8.2"
# The first page, one with many formulas, one with explorers.
PAGES = ("book/index.html", "book/2-backpropagation/backward.html", "book/5-memory/hopfield.html")
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
PACKED = (".woff", ".woff2", ".png", ".jpg", ".zip")


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Send files as a hosting service does: compressed, over one connection, to be kept."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if path.is_dir():
            path /= "index.html"
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(path))
        if path.suffix not in PACKED:
            content = gzip.compress(content, mtime=0)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "max-age=31536000")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep the table alone on the screen."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port and yield its address."""
    handler = functools.partial(_Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def measure(command: list[str], address: str, chromium: str, *, desktop: bool) -> dict[str, Any]:
    """Return Lighthouse's report on one page."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        arguments = [address, "--quiet", "--output=json", f"--output-path={report}"]
        if desktop:
            arguments.append("--preset=desktop")
        flags = " ".join(["--headless", *QUIET])
        done = subprocess.run(
            [*command, *arguments, f"--chrome-flags={flags}"],
            env={**os.environ, "CHROME_PATH": chromium},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr else "no reason")
        return dict(json.loads(report.read_text(encoding="utf-8")))


def row(reports: list[dict[str, Any]]) -> list[str]:
    """Return the medians of a page: scores of 100, the largest paint, the time it was blocked."""
    scores = [
        statistics.median(100 * (r["categories"][name]["score"] or 0) for r in reports)
        for name in CATEGORIES
    ]
    times = [
        statistics.median(r["audits"][name]["numericValue"] for r in reports)
        for name in ("largest-contentful-paint", "total-blocking-time")
    ]
    return [*(f"{score:.0f}" for score in scores), f"{times[0] / 1000:.1f} s", f"{times[1]:.0f} ms"]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*", default=PAGES, help="pages of the site")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args(arguments)
    # A path to an installed Lighthouse spares the download.
    installed = os.environ.get("LIGHTHOUSE") or shutil.which("lighthouse")
    npx = shutil.which("npx")
    if installed is None and npx is None:
        print("Stopped: Lighthouse needs Node 18 or newer, with npx: nodejs.org", file=sys.stderr)
        return 1
    command = [installed] if installed else [str(npx), "--yes", LIGHTHOUSE]
    chromium = find_chromium()
    if chromium is None:
        print(f"Stopped: {MISSING}", file=sys.stderr)
        return 1
    print(f"{'':46s}  perf  a11y  best   seo   largest   blocked")
    with served(HTML) as base:
        for page in options.pages:
            for device in ("phone", "desktop"):
                try:
                    reports = [
                        measure(command, base + page, chromium, desktop=device == "desktop")
                        for _ in range(options.runs)
                    ]
                except RuntimeError as error:
                    print(f"Stopped: Lighthouse failed: {error}", file=sys.stderr)
                    return 1
                *scores, largest, blocked = row(reports)
                cells = "".join(f"{score:>6s}" for score in scores)
                print(f"{page:38s} {device:7s}{cells}{largest:>10s}{blocked:>10s}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
