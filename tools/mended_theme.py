"""Mend what the theme and its extensions get wrong on every page.

A Sphinx extension. Most mends answer a rule of axe-core, named beside them; ``make browser``
checks that no page breaks any.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from bs4 import BeautifulSoup
from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, Any]:
    """Join the build after the theme, whose functions are wrapped."""
    app.connect("html-page-context", mend, priority=900)
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
    if "generate_toctree_html" in context:
        context["generate_toctree_html"] = _with_named_summaries(context["generate_toctree_html"])
    if "body" in context:
        context["body"] = _without_wrong_roles(context["body"])


def _is_of_thebe(file: Any) -> bool:
    """Say whether a script or a style belongs to thebe, which the course does not use.

    It would run code on another host. Its constants are declared twice, which is an error.
    """
    return "thebe" in f"{file.filename} {file.attributes.get('body', '')}".lower()


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
    """Take away roles that list and entry must not have (aria-required-children)."""
    body = body.replace(
        '<div role="list" class="citation-list">',
        '<div class="citation-list">',
    )
    return re.sub(r'(<div class="citation"[^>]*) role="doc-biblioentry"', r"\1", body)
