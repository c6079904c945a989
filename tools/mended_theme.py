"""Mend what the theme and its extensions get wrong on every page.

A Sphinx extension. Most mends answer a rule of axe-core, named beside them; ``make site``
checks that no page breaks any.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from itertools import count
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError


def setup(app: Sphinx) -> dict[str, Any]:
    """Join the build after the theme, whose functions are wrapped."""
    app.connect("html-page-context", mend, priority=900)
    app.connect("doctree-resolved", keep_together)
    app.connect("build-finished", measure_nothing)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def mend(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: object,
) -> None:
    """Change one page before it is written."""
    context["script_files"] = [f for f in context["script_files"] if not _is_of_thebe(f)]
    context["css_files"] = [f for f in context["css_files"] if not _is_of_thebe(f)]
    body = context.get("body", "")
    context["script_files"] = [f for f in context["script_files"] if _is_used(f, body)]
    # The page for searching calls what these scripts define while it is still being read.
    if pagename != "search":
        context["script_files"] = [_deferred(f) for f in context["script_files"]]
    if "generate_toctree_html" in context:
        context["generate_toctree_html"] = _with_named_summaries(context["generate_toctree_html"])
    if "body" in context:
        context["body"] = _without_wrong_roles(context["body"])
        files = {name: Path(app.srcdir) / path for path, name in app.builder.images.items()}
        context["body"] = _with_patient_pictures(context["body"], files)


def keep_together(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Let no line break fall between a number and its per cent sign."""
    for text in list(doctree.findall(nodes.Text)):
        whole = str(text)
        # A number that a cell computed is a node of its own: then the text begins with the space.
        mended = re.sub(r"(^|(?<=\d)) (?=%)", "\N{NO-BREAK SPACE}", whole)
        if mended != whole and not _is_verbatim(text):
            text.parent.replace(text, nodes.Text(mended))


def _is_verbatim(text: nodes.Text) -> bool:
    """Say whether a reader may copy the text as code, or the page typesets it as a formula."""
    kinds = (nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.raw)
    node: nodes.Node | None = text
    while node is not None:
        if isinstance(node, kinds):
            return True
        node = node.parent
    return False


def _is_of_thebe(file: Any) -> bool:
    """Say whether a script or a style belongs to thebe, which the course does not use.

    It would run code on another host. Its constants are declared twice, which is an error.
    """
    return "thebe" in f"{file.filename} {file.attributes.get('body', '')}".lower()


# Where the theme measures everything that might be too wide, as soon as the page has been read.
MEASURED = re.compile(r'"pre","\.nboutput > \.output_area","\.cell_output > \.output",')


def measure_nothing(app: Sphinx, error: Exception | None) -> None:
    """Leave it to the page's own script to measure what comes near the window.

    A phone would lay out a whole lesson before it answers its reader.
    """
    if error or app.builder.format != "html":
        return
    path = Path(app.outdir) / "_static" / "scripts" / "pydata-sphinx-theme.js"
    script, found = MEASURED.subn("", path.read_text(encoding="utf-8"))
    if found != 1:
        raise ExtensionError(f"{path.name} measures in another way than is known here")
    path.write_text(script, encoding="utf-8")


# What every page would load, and what the pages have in them that need it.
USED_BY = {
    "clipboard": 'class="highlight',
    "copybutton": 'class="highlight',
    "design-tabs": "sd-tab",
    "toggle": "toggle|dropdown|<details",
}


def _is_used(file: Any, body: str) -> bool:
    name = f"{file.filename} {file.attributes.get('body', '')}".lower()
    needed = [mark for part, mark in USED_BY.items() if part in name]
    return all(re.search(mark, body) for mark in needed)


def _deferred(file: Any) -> Any:
    """Let a script wait until the page has been read, so that the words show before it runs.

    The options are an exception: the page sets one more, right behind the script that holds them.
    """
    if not file.filename or "documentation_options" in str(file.filename):
        return file
    # A copy, because all pages share the objects.
    attributes = {**file.attributes, "defer": "defer"}
    return type(file)(file.filename, priority=file.priority, **attributes)


def _with_named_summaries(generate: Callable[..., Any]) -> Callable[..., Any]:
    """Say what the arrows of the sidebar open (summary-name)."""

    @wraps(generate)
    def named(*args: Any, **kwargs: Any) -> Any:
        tree = generate(*args, **kwargs)
        soup = tree if hasattr(tree, "select") else BeautifulSoup(str(tree), "html.parser")
        for link, summary in zip(
            soup.select("li.has-children > a"), soup.select("details > summary"), strict=True
        ):
            summary["aria-label"] = f"Lessons of {link.get_text(strip=True)}"
        return soup if soup is tree else str(soup)

    return named


def _without_wrong_roles(body: str) -> str:
    """Take away roles that list and entry must not have (aria-required-children), and a name."""
    body = body.replace(
        '<div role="list" class="citation-list">',
        '<div class="citation-list">',
    )
    # The name of what unfolds a cell is the text that stands there.
    body = body.replace('<summary aria-label="Toggle hidden content">', "<summary>")
    return re.sub(r'(<div class="citation"[^>]*) role="doc-biblioentry"', r"\1", body)


DRAWING = re.compile(r'<img ([^>]*src="[^"]*/_images/([^"/]+\.svg)"[^>]*)>')
SIZE = re.compile(r'<svg[^>]*?\bwidth="([\d.]+)pt" height="([\d.]+)pt"')
PIXELS_PER_POINT = 4 / 3


def _with_patient_pictures(body: str, files: dict[str, Path]) -> str:
    """Let figures wait until the reader comes near, in a place of the right size.

    The first figure does not wait, because it may stand on the first screen.
    """
    numbers = count()

    def patient(image: re.Match[str]) -> str:
        attributes, name = image.groups()
        size = SIZE.search(files[name].read_text(encoding="utf-8")) if name in files else None
        if size is None or "width=" in attributes:
            return image[0]
        width, height = (round(float(points) * PIXELS_PER_POINT) for points in size.groups())
        waiting = 'loading="lazy" ' if next(numbers) else ""
        return f'<img {waiting}width="{width}" height="{height}" {attributes}>'

    return DRAWING.sub(patient, body)
