"""Read the book as its builder does: pages, cells, and what their Markdown says.

The Markdown is tokenised by MyST's own parser, so what counts as a heading, a formula, a role or
a directive here is what counts as one on the website.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import nbformat.v4
import yaml
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

# Directives whose body is not running text.
OPAQUE_DIRECTIVES = frozenset(
    (
        *("autoclass", "autofunction", "automodule", "autosummary", "bibliography", "code"),
        *(
            "code-block",
            "code-cell",
            "currentmodule",
            "eval-rst",
            "image",
            "include",
            "literalinclude",
        ),
        *("math", "raw", "tableofcontents", "toctree"),
    )
)
# Directives whose first line is a title that the reader sees; elsewhere it is a path, a label or a
# language.
TITLED_DIRECTIVES = frozenset(
    (
        *("admonition", "attention", "card", "caution", "danger", "dropdown", "error", "exercise"),
        *("grid-item-card", "hint", "important", "list-table", "note", "seealso", "tab-item"),
        *("table", "tip", "topic", "warning"),
    )
)


@dataclass(frozen=True)
class Heading:
    """One heading, with the level the reader sees."""

    level: int
    text: str
    inside_directive: bool = False


@dataclass(frozen=True)
class Role:
    """An inline role such as ``{eq}`eq-forward```."""

    name: str
    content: str


@dataclass(frozen=True)
class Directive:
    """A directive with its first line, its options and its body."""

    name: str
    argument: str
    options: dict[str, str]
    body: str


@dataclass(frozen=True)
class Formula:
    """A displayed formula and the label that numbers it, if any."""

    text: str
    label: str | None


@dataclass
class Content:
    """What one piece of Markdown holds, in reading order within each list."""

    headings: list[Heading] = field(default_factory=list)
    prose: list[str] = field(default_factory=list)
    lone_spans: list[str] = field(default_factory=list)
    roles: list[Role] = field(default_factory=list)
    directives: list[Directive] = field(default_factory=list)
    formulas: list[Formula] = field(default_factory=list)
    numbered_latex: list[str] = field(default_factory=list)
    terms: list[str] = field(default_factory=list)

    def named(self, name: str) -> list[Directive]:
        """Return the directives called `name`."""
        return [directive for directive in self.directives if directive.name == name]


@dataclass
class Cell:
    """One cell of a notebook; a Markdown page is a single Markdown cell."""

    number: int
    kind: str
    source: str
    metadata: dict[str, Any] = field(default_factory=dict)
    outputs: list[Any] = field(default_factory=list)
    execution_count: int | None = None
    id: str | None = None

    @property
    def tags(self) -> list[str]:
        """Tags of the cell."""
        return list(self.metadata.get("tags", []))

    @property
    def content(self) -> Content:
        """The parsed Markdown of the cell (empty for code)."""
        return parse(self.source) if self.kind == "markdown" else Content()

    def __str__(self) -> str:
        return f"cell {self.number}"


@dataclass
class Page:
    """A notebook or a Markdown page of the book."""

    name: str
    cells: list[Cell]
    metadata: dict[str, Any] = field(default_factory=dict)
    is_notebook: bool = True
    nbformat: tuple[int, int] = (4, 5)

    @property
    def is_lesson(self) -> bool:
        """Whether the page is a notebook of one of the chapters."""
        return self.is_notebook and re.match(r"book/[1-8]-[^/]+/[^/]+$", self.name) is not None

    @property
    def code(self) -> list[Cell]:
        """The code cells."""
        return [cell for cell in self.cells if cell.kind == "code"]

    @property
    def markdown(self) -> list[Cell]:
        """The Markdown cells."""
        return [cell for cell in self.cells if cell.kind == "markdown"]

    def contents(self) -> Iterator[tuple[Cell, Content]]:
        """Yield each Markdown cell with its parsed content."""
        for cell in self.markdown:
            yield cell, cell.content


def page_paths(root: Path) -> list[Path]:
    """Return every notebook and Markdown page under ``root/book``, hidden folders left out."""
    found = (path for pattern in ("*.ipynb", "*.md") for path in (root / "book").rglob(pattern))
    return sorted(
        path
        for path in found
        if not any(part.startswith((".", "_")) for part in path.relative_to(root).parts)
    )


def load_page(path: Path, root: Path) -> Page:
    """Read one page; its name is the path from the repository's root."""
    name = path.relative_to(root).as_posix()
    if path.suffix == ".md":
        return Page(
            name, [Cell(0, "markdown", path.read_text(encoding="utf-8"))], is_notebook=False
        )
    # Not nbformat.read, which upgrades and repairs what is to be found out.
    notebook = nbformat.v4.reads(path.read_text(encoding="utf-8"))
    cells = [
        Cell(
            number,
            cell.cell_type,
            cell.source,
            dict(cell.metadata),
            list(cell.get("outputs", [])),
            cell.get("execution_count"),
            cell.get("id"),
        )
        for number, cell in enumerate(notebook.cells)
    ]
    return Page(
        name, cells, dict(notebook.metadata), True, (notebook.nbformat, notebook.nbformat_minor)
    )


def load_book(root: Path) -> list[Page]:
    """Read every page of the book."""
    return [load_page(path, root) for path in page_paths(root)]


@cache
def _parser() -> MarkdownIt:
    extensions = {
        "amsmath",
        "attrs_block",
        "attrs_inline",
        "colon_fence",
        "deflist",
        "dollarmath",
        "tasklist",
    }
    return create_md_parser(MdParserConfig(enable_extensions=extensions), RendererHTML)


@cache
def parse(text: str) -> Content:
    """Parse Markdown, directives within directives included."""
    content = Content()
    _walk(text, content, inside=False)
    return content


def _walk(text: str, content: Content, *, inside: bool) -> None:
    tokens = _parser().parse(text)
    for position, token in enumerate(tokens):
        if token.type == "inline":
            opener = tokens[position - 1]
            words = _inline(token, content, heading=opener.type == "heading_open")
            if opener.type == "heading_open":
                content.headings.append(Heading(int(opener.tag[1:]), words, inside))
        elif token.type in ("math_block", "math_block_label"):
            label = token.info if token.type == "math_block_label" else None
            content.formulas.append(Formula(token.content, label))
        elif token.type == "amsmath" and token.meta.get("numbered") != "*":
            content.numbered_latex.append(token.meta["environment"])
        elif token.type in ("fence", "colon_fence"):
            opening = re.match(r"\{([^}]+)\}\s*(.*)", token.info.strip(), flags=re.DOTALL)
            if opening:
                _directive(opening[1], opening[2].strip(), token.content, content)


def _inline(token: Token, content: Content, *, heading: bool) -> str:
    """Collect the roles and the words of one inline token; return the words."""
    words = []
    for child in token.children or []:
        if child.type == "text":
            words.append(child.content)
        elif child.type in ("softbreak", "hardbreak"):
            words.append("\n")
        elif child.type == "myst_role":
            content.roles.append(Role(child.meta["name"], child.content.strip()))
            words.append("\ufffc")
        elif child.type in ("math_inline", "math_inline_double", "code_inline"):
            content.lone_spans.append(child.content.strip())
            words.append("\ufffc")
    text = "".join(words)
    if not heading:
        content.prose.append(text)
    return text.strip()


def _directive(name: str, argument: str, raw: str, content: Content) -> None:
    options, body = _options(raw)
    content.directives.append(Directive(name, argument, options, body))
    if name == "math":
        content.formulas.append(Formula(body, options.get("label")))
    if name in OPAQUE_DIRECTIVES:
        return
    if name == "glossary":
        _glossary(body, content)
        return
    if name in TITLED_DIRECTIVES and argument:
        _walk(argument, content, inside=True)
    _walk(body, content, inside=True)


def _options(raw: str) -> tuple[dict[str, str], str]:
    """Split a directive's text into its options (colon lines or a YAML block) and its body."""
    lines = raw.splitlines()
    if lines and lines[0].strip() == "---":
        end = next((i for i, line in enumerate(lines[1:], 1) if line.strip() == "---"), None)
        if end is not None:
            loaded = yaml.safe_load("\n".join(lines[1:end])) or {}
            return {str(key): str(value) for key, value in loaded.items()}, "\n".join(
                lines[end + 1 :]
            )
    options = {}
    while lines and (found := re.match(r"\s*:([\w-]+):(?:\s+(.*))?$", lines[0])):
        options[found[1]] = (found[2] or "").strip()
        lines.pop(0)
    return options, "\n".join(lines)


def _glossary(body: str, content: Content) -> None:
    """Terms stand at the margin, definitions are indented below them."""
    definition: list[str] = []

    def close() -> None:
        if definition:
            _walk("\n".join(line.strip() for line in definition), content, inside=True)
            definition.clear()

    for line in body.splitlines():
        if not line.strip():
            definition.append("")
        elif line[0].isspace():
            definition.append(line)
        elif not line.startswith(".. "):
            close()
            content.terms.append(line.split(" : ")[0].strip())
    close()
