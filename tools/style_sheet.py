"""Join the style sheets of the website into one.

A Sphinx extension. Theme and extensions bring a dozen, and a browser shows nothing until it has
the last of them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

NAME = "_static/style.css"
# What the theme's template loads before all others.
FIRST = ("_static/basic.css", "_static/styles/pydata-sphinx-theme.css")
ADDRESS = re.compile(r"""url\((["']?)(?!data:|https?:|#)([^)"']+)\1\)""")


def setup(app: Sphinx) -> dict[str, Any]:
    """Join the build, last of all: by then every style sheet is written."""
    app.connect("html-page-context", replace, priority=950)
    app.connect("build-finished", write, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": False}


def replace(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object
) -> None:
    """Let a page load the one style sheet, and remember which it stands for."""
    sheets = context["css_files"]
    names = dict.fromkeys([*FIRST, *(str(sheet.filename) for sheet in sheets)])
    app.builder.style_sheets = {**getattr(app.builder, "style_sheets", {}), **names}  # type: ignore[attr-defined]
    context["css_files"] = [type(sheets[0])(NAME)]


def write(app: Sphinx, error: Exception | None) -> None:
    """Write the style sheet."""
    if error or app.builder.format != "html":
        return
    root = Path(app.outdir)
    sheets = [root / name for name in app.builder.style_sheets]  # type: ignore[attr-defined]
    (root / NAME).write_text("\n".join(moved(sheet, root / NAME) for sheet in sheets), "utf-8")


def moved(sheet: Path, target: Path) -> str:
    """Return what a style sheet says, with addresses as they are seen from another one."""
    rules = sheet.read_text(encoding="utf-8")
    if "@import" in rules:
        raise ExtensionError(f"{sheet.name} imports another style sheet, which then stays behind")

    def address(found: re.Match[str]) -> str:
        path = os.path.relpath(sheet.parent / found[2], target.parent)
        return f'url("{Path(path).as_posix()}")'

    return ADDRESS.sub(address, rules)
