"""Set the formulas while the website is built, so that pages need no script to show them.

A Sphinx extension. MathJax runs here, in a JavaScript engine without a browser, and a page holds
what MathJax would have made of it there: boxes with letters in them, and the same in MathML for
those who have the page read to them. All pages share one style sheet and MathJax's fonts.
"""

from __future__ import annotations

import html
import json
import re
from contextlib import suppress
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from docutils import nodes
from py_mini_racer import MiniRacer
from sphinx.application import Sphinx
from sphinx.ext import mathjax
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

from tools.fonts import cut

MATHJAX = Path(
    str(distribution("sphinx-mathjax-offline").locate_file("sphinx-mathjax-offline/static/mathjax"))
)
# In this order: the last ones add to what the first ones define.
COMPONENTS = (
    "startup",
    "core",
    "adaptors/liteDOM",
    "input/tex",
    "output/chtml",
    "output/chtml/fonts/tex",
    "a11y/assistive-mml",
)
FONTS = MATHJAX / "output" / "chtml" / "fonts" / "woff-v2"
#: Where the fonts and the style sheet lie, within ``_static``.
FOLDER = "formulas"
STYLE_SHEET = f"{FOLDER}/formulas.css"
OPTIONS = {
    # Without a list MathJax would load what it needs from files, which takes a browser. An unknown
    # command is an error here, and not red letters on the page.
    "tex": {"packages": ["base", "ams", "newcommand"]},
    "chtml": {"fontURL": "."},
}
SHOWN = re.compile(r'content: "((?:[^"\\]|\\.)*)"')
FONT = re.compile(r'url\("\./([\w-]+)\.woff"\) format\("woff"\)')
BEGIN = """
    var MathJax = Object.assign(%s, {startup: {ready() {}, document: "<html></html>"}});
"""
END = """
    MathJax.startup.defaultReady();
    // Lengths come out in em, so the width of a line matters only to what breaks lines: nothing.
    const set = (tex, display) => MathJax.startup.adaptor.outerHTML(
      MathJax.tex2chtml(tex, {display, em: 16, ex: 8, containerWidth: 1e6}));
    const styleSheet = () => MathJax.startup.adaptor.textContent(MathJax.chtmlStylesheet());
    0;
"""

logger = logging.getLogger(__name__)


class Typesetter:
    """MathJax, started once and asked for each formula."""

    def __init__(self) -> None:
        self._engine = MiniRacer()
        self._engine.eval(BEGIN % json.dumps(OPTIONS))
        for name in COMPONENTS:
            self._engine.eval((MATHJAX / f"{name}.js").read_text(encoding="utf-8") + ";0")
        self._engine.eval(END)
        self._known: dict[tuple[str, bool], str] = {}

    def set(self, tex: str, *, display: bool) -> str:
        """Return a formula as HTML.

        Raises
        ------
        ValueError
            If it is not TeX, or a letter is not in MathJax's fonts: its width is then not known.
        """
        if (tex, display) in self._known:
            return self._known[tex, display]
        markup = str(self._engine.call("set", tex, display))
        if error := re.search(r'data-mjx-error="([^"]*)"', markup):
            raise ValueError(html.unescape(error[1]))
        if unknown := re.search(r"<mjx-utext[^>]*>([^<]*)", markup):
            raise ValueError(f"no font of MathJax has {html.unescape(unknown[1])!r}")
        self._known[tex, display] = markup
        return markup

    def style_sheet(self) -> str:
        """Return the rules that all formulas set so far need."""
        return str(self._engine.call("styleSheet"))


def setup(app: Sphinx) -> dict[str, Any]:
    """Join the build."""
    app.add_html_math_renderer("formulas", (visit_math, None), (visit_math_block, None))
    app.connect("builder-inited", begin)
    app.connect("build-finished", finish)
    # All formulas go through one engine, which knows at the end what they need.
    return {"parallel_read_safe": True, "parallel_write_safe": False}


def begin(app: Sphinx) -> None:
    """Start MathJax, and ask each page to load the style sheet."""
    app.builder.typesetter = Typesetter()  # type: ignore[attr-defined]
    if app.builder.format == "html":
        app.add_css_file(STYLE_SHEET)


def finish(app: Sphinx, error: Exception | None) -> None:
    """Write the style sheet, and beside it the fonts with the letters that it names."""
    if error or app.builder.format != "html":
        return
    typesetter: Typesetter = app.builder.typesetter  # type: ignore[attr-defined]
    rules = typesetter.style_sheet()
    letters = {ord(letter) for shown in SHOWN.findall(rules) for letter in _unescaped(shown)}
    folder = Path(app.outdir) / "_static" / FOLDER
    folder.mkdir(exist_ok=True)
    for name in FONT.findall(rules):
        cut(FONTS / f"{name}.woff", letters, folder / f"{name}.woff2")
    sheet = FONT.sub(r'url("\1.woff2") format("woff2")', rules)
    (folder / Path(STYLE_SHEET).name).write_text(sheet, encoding="utf-8")


def _unescaped(content: str) -> str:
    """Return what a CSS string shows."""
    return re.sub(
        r"\\([0-9A-Fa-f]+) ?|\\(.)", lambda m: chr(int(m[1], 16)) if m[1] else m[2], content
    )


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    """Set a formula in a line of text."""
    _visit(self, node, mathjax.html_visit_math)


def visit_math_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Set a formula on lines of its own, with its number if it has one."""
    _visit(self, node, mathjax.html_visit_displaymath)


def _visit(self: HTML5Translator, node: nodes.math | nodes.math_block, visit: Any) -> None:
    """Let Sphinx write the TeX that a browser would set, and set it."""
    typesetter: Typesetter = self.builder.typesetter  # type: ignore[attr-defined]
    start = len(self.body)
    with suppress(nodes.SkipNode):
        visit(self, node)
    written = "".join(self.body[start:])
    del self.body[start:]

    def set_here(tex: re.Match[str]) -> str:
        inline, display = tex.groups()
        source = html.unescape(inline or display)
        try:
            return typesetter.set(source, display=inline is None)
        except ValueError as reason:
            logger.warning("%s, in the formula %s", reason, source.strip(), location=node)
            return html.escape(source)

    self.body.append(re.sub(r"\\\((.*)\\\)|\\\[(.*)\\\]", set_here, written, flags=re.DOTALL))
    raise nodes.SkipNode
