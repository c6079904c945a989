"""Send readers the letters and icons that the website shows, and not whole fonts.

A Sphinx extension for the theme's icons: it brings fourteen hundred and a rule in its style sheet
for each, of which the pages show a dozen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fontTools.subset import Options, Subsetter, load_font, save_font
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

STYLE_SHEET = "styles/pydata-sphinx-theme.css"
# One icon may have several names: .fa-magnifying-glass:before,.fa-search:before{content:"\f002"}
ICON = re.compile(r'((?:\.fa-[\w-]+:{1,2}before,?)+)\{content:"\\([0-9a-f]+) ?"\}')
FONT = re.compile(
    r'url\((\.\./vendor/fontawesome/webfonts/[\w-]+)\.woff2\) format\("woff2"\)'
    r',url\([^)]*\.ttf\) format\("truetype"\)'
)


def setup(app: Sphinx) -> dict[str, Any]:
    """Join the build."""
    # The theme's files are there once the pages are.
    app.connect("build-finished", cut_icons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def cut(source: Path, letters: Iterable[int], target: Path) -> None:
    """Write a font that has only some letters, given by their code points, as WOFF2.

    One with none of them stays whole, because browsers refuse an empty font.
    """
    options = Options(flavor="woff2", layout_features=[], notdef_outline=True)
    # When the font was last edited.
    options.drop_tables += ["FFTM"]
    with load_font(str(source), options) as font:
        known = set(font.getBestCmap())
        subsetter = Subsetter(options)
        subsetter.populate(unicodes=known.intersection(letters) or known)
        subsetter.subset(font)
        save_font(font, str(target), options)


def cut_icons(app: Sphinx, error: Exception | None) -> None:
    """Leave in the theme's style sheet and fonts the icons that stand on a page."""
    if error or app.builder.format != "html":
        return
    root = Path(app.outdir)
    names = {
        name
        for kind in ("*.html", "_static/scripts/*.js")
        for path in root.rglob(kind)
        for name in re.findall(r"\bfa-[\w-]+", path.read_text(encoding="utf-8"))
    }
    sheet = root / "_static" / STYLE_SHEET
    rules, icons = used_icons(sheet.read_text(encoding="utf-8"), names)
    if not icons or not FONT.search(rules):
        raise ExtensionError(f"{STYLE_SHEET} has no icons in the form that is known here")
    for font in FONT.findall(rules):
        path = (sheet.parent / font).with_suffix(".woff2")
        cut(path, icons, path)
        path.with_suffix(".ttf").unlink()
    sheet.write_text(FONT.sub(r'url(\1.woff2) format("woff2")', rules), encoding="utf-8")


def used_icons(rules: str, names: set[str]) -> tuple[str, set[int]]:
    """Return a style sheet without the icons that have none of the names, and the others' codes."""
    icons = set()

    def keep(rule: re.Match[str]) -> str:
        if names.isdisjoint(re.findall(r"fa-[\w-]+", rule[1])):
            return ""
        icons.add(int(rule[2], 16))
        return rule[0]

    return ICON.sub(keep, rules), icons
