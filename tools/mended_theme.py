"""Mend what the theme and its extensions get wrong on every page.

A Sphinx extension. Most mends answer a rule of axe-core, named beside them; ``make site``
checks that no page breaks any.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from bs4 import BeautifulSoup
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config


def setup(app: Sphinx) -> dict[str, Any]:
    """Join the build after the theme, whose functions are wrapped."""
    app.connect("config-inited", choose_mathjax)
    app.connect("html-page-context", mend, priority=900)
    app.connect("doctree-resolved", keep_together)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def choose_mathjax(app: Sphinx, config: Config) -> None:
    """Start MathJax with the parts that ``_config.yml`` names.

    The extension that brings it sets another path after the configuration has been read. That file
    has everything in it and weighs twice as much; what it adds is a menu.
    """
    config.mathjax_path = "mathjax/startup.js"


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
    for kind in ("script_files", "css_files"):
        context[kind] = [f for f in context[kind] if _is_used(f, context.get("body", ""))]
    # The page for searching calls what these scripts define while it is still being read.
    if pagename != "search":
        context["script_files"] = [_deferred(f) for f in context["script_files"]]
    if "generate_toctree_html" in context:
        context["generate_toctree_html"] = _with_named_summaries(context["generate_toctree_html"])
    if "body" in context:
        context["body"] = _without_wrong_roles(context["body"])


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


# What every page would load, and what the pages have in them that need it.
USED_BY = {
    "mathjax": 'class="math',
    "mystnb": 'class="cell',
    "clipboard": 'class="highlight',
    "copybutton": 'class="highlight',
    "design-tabs": "sd-tab",
    "sphinx-design": "sd-",
    "exercise": 'class="exercise',
    "proof": 'class="proof',
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
