"""What a page loads, and how that is measured.

The first is the work of mended_theme, fonts and style_sheet, the second of lighthouse, in tools/.
"""

from __future__ import annotations

import gzip
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fontTools.ttLib import TTFont
from sphinx.builders.html._assets import _CascadingStyleSheet, _JavaScript
from sphinx.errors import ExtensionError

from tools import fonts, formulas, lighthouse, mended_theme, style_sheet

SCRIPTS = [
    _JavaScript("_static/documentation_options.js"),
    _JavaScript("_static/copybutton.js"),
    _JavaScript("_static/doctools.js"),
]
STYLES = [
    _CascadingStyleSheet("_static/styles/sphinx-book-theme.css"),
    _CascadingStyleSheet("_static/course.css"),
    _CascadingStyleSheet("_static/thebe.css"),
]
APP: Any = SimpleNamespace(
    srcdir=".", builder=SimpleNamespace(images={}, format="html"), outdir="."
)


def loaded(body: str, page: str = "book/page") -> tuple[list[str], list[str]]:
    """Return the scripts of a page, and those among them that wait."""
    context: dict[str, Any] = {"script_files": SCRIPTS, "css_files": STYLES, "body": body}
    mended_theme.mend(APP, page, "page.html", context, None)
    names = [str(f.filename).split("/")[-1] for f in context["script_files"]]
    waiting = [
        name
        for name, f in zip(names, context["script_files"], strict=True)
        if "defer" in f.attributes
    ]
    return names, waiting


def test_a_page_of_words_loads_no_buttons_for_code() -> None:
    names, waiting = loaded("<p>words</p>")
    assert names == ["documentation_options.js", "doctools.js"]
    assert waiting == ["doctools.js"]


def test_a_page_loads_what_it_uses() -> None:
    names, _ = loaded('<div class="highlight"></div>')
    assert names == ["documentation_options.js", "copybutton.js", "doctools.js"]


def test_on_the_page_for_searching_nothing_waits_also_after_another_page() -> None:
    loaded("<p>words</p>")
    assert loaded("", "search")[1] == []


# --- figures that wait ----------------------------------------------------------------------------


def test_figures_have_their_size_and_all_but_the_first_wait(tmp_path: Path) -> None:
    """Oracle: 96 pixels are 72 points."""
    for name, width in (("a.svg", 72), ("b.svg", 36)):
        (tmp_path / name).write_text(f'<svg xmlns="x" width="{width}pt" height="144pt"></svg>')
    (tmp_path / "c.svg").write_text("<svg></svg>")
    images = {name: name for name in ("a.svg", "b.svg", "c.svg")}
    app: Any = SimpleNamespace(srcdir=tmp_path, builder=SimpleNamespace(images=images))
    body = "".join(f'<img alt="A." src="../_images/{n}.svg">' for n in "abcd")
    body += '<img width="5" src="../_images/a.svg">'
    context: dict[str, Any] = {"script_files": [], "css_files": [], "body": body}
    mended_theme.mend(app, "page", "page.html", context, None)
    assert context["body"].split(">")[:-1] == [
        '<img width="96" height="192" alt="A." src="../_images/a.svg"',
        '<img loading="lazy" width="48" height="192" alt="A." src="../_images/b.svg"',
        '<img alt="A." src="../_images/c.svg"',
        '<img alt="A." src="../_images/d.svg"',
        '<img width="5" src="../_images/a.svg"',
    ]


# --- the theme's script ---------------------------------------------------------------------------


def test_the_theme_measures_nothing_by_itself(tmp_path: Path) -> None:
    script = tmp_path / "_static" / "scripts" / "pydata-sphinx-theme.js"
    script.parent.mkdir(parents=True)
    known = 'query(["pre",".nboutput > .output_area",".cell_output > .output",".other"])'
    script.write_text(known)
    app: Any = SimpleNamespace(outdir=tmp_path, builder=SimpleNamespace(format="html"))
    mended_theme.measure_nothing(app, ValueError("a build that failed"))
    assert script.read_text() == known
    mended_theme.measure_nothing(app, None)
    assert script.read_text() == 'query([".other"])'
    with pytest.raises(ExtensionError, match=r"pydata-sphinx-theme\.js measures in another way"):
        mended_theme.measure_nothing(app, None)


# --- icons ----------------------------------------------------------------------------------------

ICONS = (
    '.fa-magnifying-glass:before,.fa-search:before{content:"\\f002"}'
    '.fa-0:before{content:"\\30 "}.fa-list::before{content:"\\f03a"}.fa-lg{font-size:1.3em}'
)


def test_icons_that_stand_nowhere_are_left_out() -> None:
    rules, icons = fonts.used_icons(ICONS, {"fa-search", "fa-solid", "fa-0"})
    assert rules == ICONS.replace('.fa-list::before{content:"\\f03a"}', "")
    assert icons == {0xF002, 0x30}


def test_a_font_is_cut_to_some_letters_and_left_whole_without_them(tmp_path: Path) -> None:
    """Oracle: the table of letters in the font that is written."""
    source = formulas.FONTS / "MathJax_Main-Regular.woff"
    for letters, known in (({ord("a"), ord("b"), 0x77E9}, {ord("a"), ord("b")}), ({0x77E9}, None)):
        fonts.cut(source, letters, tmp_path / "cut.woff2")
        with TTFont(tmp_path / "cut.woff2") as cut, TTFont(source) as whole:
            assert cut.flavor == "woff2"
            assert set(cut.getBestCmap()) == (known or set(whole.getBestCmap()))


def test_a_theme_with_other_icons_is_an_error(tmp_path: Path) -> None:
    sheet = tmp_path / "_static" / fonts.STYLE_SHEET
    sheet.parent.mkdir(parents=True)
    app: Any = SimpleNamespace(outdir=tmp_path, builder=SimpleNamespace(format="html"))
    (tmp_path / "page.html").write_text('<i class="fa-solid fa-list"></i>')
    for rules in ("p{color:red}", ICONS):
        sheet.write_text(rules)
        with pytest.raises(ExtensionError, match="no icons in the form that is known here"):
            fonts.cut_icons(app, None)
    fonts.cut_icons(app, ValueError("a build that failed"))


# --- one style sheet ------------------------------------------------------------------------------


def test_all_style_sheets_become_one(tmp_path: Path) -> None:
    """In their order, each once, with addresses that still lead to their files."""
    builder = SimpleNamespace(format="html")
    app: Any = SimpleNamespace(outdir=tmp_path, builder=builder)
    for page, sheets in (("a", STYLES[:1]), ("b", STYLES[:2])):
        context: dict[str, Any] = {"css_files": sheets}
        style_sheet.replace(app, page, "page.html", context, None)
        assert [sheet.filename for sheet in context["css_files"]] == ["_static/style.css"]
    names = [*style_sheet.FIRST, "_static/styles/sphinx-book-theme.css", "_static/course.css"]
    for number, name in enumerate(names):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"p{{order:{number}}}")
    (tmp_path / names[1]).write_text(
        "a{src:url(../fonts/a.woff2),url('b.svg')}b{mask:url(data:x);clip:url(#c)}"
    )
    style_sheet.write(app, ValueError("a build that failed"))
    assert not (tmp_path / style_sheet.NAME).exists()
    style_sheet.write(app, None)
    assert (tmp_path / style_sheet.NAME).read_text().split("\n") == [
        "p{order:0}",
        'a{src:url("fonts/a.woff2"),url("styles/b.svg")}b{mask:url(data:x);clip:url(#c)}',
        "p{order:2}",
        "p{order:3}",
    ]
    (tmp_path / names[3]).write_text('@import "other.css";')
    with pytest.raises(ExtensionError, match=r"course\.css imports another style sheet"):
        style_sheet.write(app, None)


# --- measuring ------------------------------------------------------------------------------------


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
