"""What a page loads (tools/mended_theme.py), and how that is measured (tools/lighthouse.py)."""

from __future__ import annotations

import gzip
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sphinx.builders.html._assets import _CascadingStyleSheet, _JavaScript

from tools import lighthouse, mended_theme

SCRIPTS = [
    _JavaScript("_static/documentation_options.js"),
    _JavaScript(None, body="window.MathJax = {}"),
    _JavaScript("_static/mathjax/startup.js", defer="defer"),
    _JavaScript("_static/copybutton.js"),
    _JavaScript("_static/doctools.js"),
]
STYLES = [_CascadingStyleSheet("_static/course.css"), _CascadingStyleSheet("_static/proof.css")]


def loaded(body: str, page: str = "book/page") -> tuple[list[str], list[str], list[str]]:
    """Return the scripts, those among them that wait, and the styles of a page."""
    context: dict[str, Any] = {"script_files": SCRIPTS, "css_files": STYLES, "body": body}
    mended_theme.mend(None, page, "page.html", context, None)
    names = [str(f.filename or "inline").split("/")[-1] for f in context["script_files"]]
    waiting = [
        name
        for name, f in zip(names, context["script_files"], strict=True)
        if "defer" in f.attributes
    ]
    return names, waiting, [str(f.filename).split("/")[-1] for f in context["css_files"]]


def test_a_page_of_words_loads_neither_formulas_nor_buttons_for_code() -> None:
    names, waiting, styles = loaded("<p>words</p>")
    assert names == ["documentation_options.js", "doctools.js"]
    assert waiting == ["doctools.js"]
    assert styles == ["course.css"]


def test_a_page_loads_what_it_uses() -> None:
    body = '<span class="math notranslate"></span><div class="highlight"></div>'
    names, _, styles = loaded(body + '<div class="proof definition"></div>')
    assert names == [
        "documentation_options.js",
        "inline",
        "startup.js",
        "copybutton.js",
        "doctools.js",
    ]
    assert styles == ["course.css", "proof.css"]


def test_on_the_page_for_searching_nothing_waits_also_after_another_page() -> None:
    loaded("<p>words</p>")
    assert loaded("", "search")[1] == []


def test_the_server_sends_what_a_hosting_service_would(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("words " * 1000)
    (tmp_path / "font.woff2").write_bytes(b"packed")
    with lighthouse.served(tmp_path) as base:
        with urllib.request.urlopen(base + "page.html") as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            content = answer.read()
            assert len(content) == int(answer.headers["Content-Length"]) < 100
            assert gzip.decompress(content).decode() == "words " * 1000
        with urllib.request.urlopen(base + "font.woff2") as answer:
            assert answer.headers["Content-Encoding"] is None
            assert answer.read() == b"packed"


def test_the_table_shows_medians() -> None:
    def report(performance: float, paint: float) -> dict[str, Any]:
        scores = {name: {"score": 1} for name in lighthouse.CATEGORIES}
        times = {"largest-contentful-paint": paint, "total-blocking-time": 0}
        return {
            "categories": {**scores, "performance": {"score": performance}},
            "audits": {name: {"numericValue": value} for name, value in times.items()},
        }

    reports = [report(0.9, 900), report(0.5, 5000), report(0.97, 1000)]
    assert lighthouse.row(reports) == ["90", "100", "100", "100", "1.0 s", "0 ms"]


def test_without_node_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LIGHTHOUSE", raising=False)
    monkeypatch.setattr(lighthouse, "shutil", SimpleNamespace(which=lambda _: None))
    assert lighthouse.main([]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "Node" in line
