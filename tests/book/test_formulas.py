"""Formulas set while the site is built (tools/formulas.py): MathJax without a browser."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from fontTools.ttLib import TTFont

from tools import formulas
from tools.formulas import Typesetter


@pytest.fixture(scope="module")
def typesetter() -> Typesetter:
    return Typesetter()


def test_a_formula_is_drawn_and_said(typesetter: Typesetter) -> None:
    """Oracle: the MathML of a fraction, written by hand."""
    page = BeautifulSoup(typesetter.set(r"\frac{a}{2}", display=False), "html.parser")
    assert page.select_one("mjx-math")["aria-hidden"] == "true"
    assert len(page.select("mjx-mfrac mjx-c")) == 2
    said = re.sub(r' xmlns="[^"]*"', "", str(page.select_one("mjx-assistive-mml math")))
    assert said == "<math><mfrac><mi>a</mi><mn>2</mn></mfrac></math>"


def test_a_display_has_its_limits_above_and_below(typesetter: Typesetter) -> None:
    inline, display = (typesetter.set(r"\sum_{i}^{n}", display=d) for d in (False, True))
    assert 'limits="false"' in inline
    assert 'limits="false"' not in display
    assert typesetter.set(r"\sum_{i}^{n}", display=False) == inline


@pytest.mark.parametrize(
    ("tex", "reason"),
    [
        (r"\frac{a}{", "Missing close brace"),
        (r"\nosuchthing", r"Undefined control sequence \\nosuchthing"),
        (r"\begin{aligned} a", "aligned"),
        ("\N{CJK UNIFIED IDEOGRAPH-77E9}", "no font of MathJax has"),
    ],
)
def test_what_is_no_formula_is_refused(typesetter: Typesetter, tex: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        typesetter.set(tex, display=True)
    assert "mjx-mi" in typesetter.set("a", display=True)


def visited(typesetter: Typesetter, tex: str, *, number: int | None = None) -> str:
    """Return what the build writes for a formula on lines of its own."""
    settings = SimpleNamespace(mathjax_inline=[r"\(", r"\)"], mathjax_display=[r"\[", r"\]"])
    writer: Any = SimpleNamespace(
        body=[],
        builder=SimpleNamespace(config=settings, typesetter=typesetter),
        starttag=lambda node, tag, suffix="\n", **attributes: f"<{tag}>",
        encode=lambda text: text.replace("&", "&amp;").replace("<", "&lt;"),
    )
    node = nodes.math_block(tex, tex, nowrap=False, number=number)
    with pytest.raises(nodes.SkipNode):
        formulas.visit_math_block(writer, node)
    return "".join(writer.body)


def test_signs_that_html_knows_too_come_through(typesetter: Typesetter) -> None:
    page = BeautifulSoup(visited(typesetter, r"a &< b \\ c &= d"), "html.parser")
    assert [row.get_text() for row in page.select("math mtr")] == ["a<b", "c=d"]


def test_a_mistake_is_a_warning_and_the_formula_stays_readable(
    typesetter: Typesetter, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(
        formulas.logger, "warning", lambda text, *rest, location: warnings.append(text % rest)
    )
    assert r"\wrong &lt; 1" in visited(typesetter, r"\wrong < 1")
    assert warnings == [r"Undefined control sequence \wrong, in the formula \wrong < 1"]


def test_the_style_sheet_has_what_the_formulas_need_and_the_fonts_their_letters(
    tmp_path: Path,
) -> None:
    """Oracle: the letters, looked up in the tables of the fonts."""
    typesetter = Typesetter()
    typesetter.set(r"x \in \mathbb{R}, 1", display=False)
    builder = SimpleNamespace(format="html", typesetter=typesetter)
    (tmp_path / "_static").mkdir()
    formulas.finish(SimpleNamespace(builder=builder, outdir=tmp_path), None)  # type: ignore[arg-type]
    sheet = tmp_path / "_static" / formulas.STYLE_SHEET
    rules = sheet.read_text(encoding="utf-8")
    assert 'content: "\\2208"' in rules
    assert 'content: "\\2209"' not in rules
    for name in re.findall(r'url\("([^"]+)"\)', rules):
        assert (sheet.parent / name).is_file()
    letters = {}
    for name in ("Main-Regular", "Math-Italic", "AMS-Regular"):
        with TTFont(sheet.parent / f"MathJax_{name}.woff2") as font:
            letters[name] = set(font.getBestCmap())
    assert {ord("1"), ord(","), 0x2208} <= letters["Main-Regular"]
    assert ord("x") in letters["Math-Italic"]
    assert ord("R") in letters["AMS-Regular"]
    assert all(len(known) < 8 for known in letters.values())


def test_strings_of_style_sheets_are_read() -> None:
    assert formulas._unescaped(r"\2208") == "\N{ELEMENT OF}"
    assert formulas._unescaped(r"\"") == '"'
    assert formulas._unescaped("a") == "a"


def test_nothing_is_written_for_other_forms_or_after_a_failure(tmp_path: Path) -> None:
    for form, error in (("latex", None), ("html", ValueError())):
        builder = SimpleNamespace(format=form)
        formulas.finish(SimpleNamespace(builder=builder, outdir=tmp_path), error)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
