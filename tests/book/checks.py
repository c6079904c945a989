"""The rules of the book as plain functions: each takes pages and returns a list of complaints,
empty when all is well.

The tests run them over the real book, and over tiny books broken on purpose in
``test_pipeline.py``.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from pybtex.database import Entry, parse_file
from pybtex.exceptions import PybtexError

from tests.book.reading import Cell, Directive, Page, page_paths, parse
from tests.notebook_tolerance import GLUE_PREFIX, IGNORE_TAG, NUMBER, text_outputs

MAX_LINES = 15
MAX_IGNORED = 3
MIN_ALT = 30
ALLOWED_TAGS = {
    "code": {"hide-input", "hide-output", "raises-exception", IGNORE_TAG},
    "markdown": {"claims"},
}
for _kind in ALLOWED_TAGS.values():
    _kind |= {"remove-cell", "remove-input", "remove-output"}
CELL_METADATA = {"tags", "mystnb", "tolerance"}
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
TIMERS = re.compile(r"perf_counter|timeit|timer", re.IGNORECASE)

OPENING_BOX = "This lesson"
LEAD_INS = ("**Question.**", "**You will be able to**", "**You need first**", "**Time.**")
CLOSING_SECTIONS = ("The same in PyTorch", "Exercises", "Summary", "What comes next", "References")
CLAIMS_BOX = "From the sources"
SEEDED = {
    "default_rng",
    "Generator",
    "SeedSequence",
    "BitGenerator",
    "PCG64",
    "PCG64DXSM",
    "Philox",
    "SFC64",
}


def insist(problems: Sequence[str]) -> None:
    """Fail with one complaint on each line."""
    if problems:
        raise AssertionError("\n".join(["", *problems]))


# --- Running --------------------------------------------------------------------------------------


def execution_problems(page: Page) -> list[str]:
    """Code cells carry the counts 1, 2, 3 … of one run, and only errors that are announced."""
    problems = []
    for expected, cell in enumerate(page.code, start=1):
        if not cell.source.strip():
            problems.append(f"{page.name}: {cell} is an empty code cell")
        if cell.execution_count is None:
            problems.append(f"{page.name}: {cell} was not executed")
        elif cell.execution_count != expected:
            problems.append(
                f"{page.name}: {cell} was executed out of order "
                f"(count {cell.execution_count}, expected {expected})"
            )
        errors = [output["ename"] for output in cell.outputs if output["output_type"] == "error"]
        announced = "raises-exception" in cell.tags
        if errors and not announced:
            problems.append(
                f"{page.name}: {cell} stores the error {errors[0]} without the tag raises-exception"
            )
        if announced and not errors:
            problems.append(f"{page.name}: {cell} is tagged raises-exception but stores no error")
        for output in cell.outputs:
            if (
                output["output_type"] == "execute_result"
                and output["execution_count"] != cell.execution_count
            ):
                problems.append(f"{page.name}: {cell} and its result carry different counts")
    return problems


_MACHINE = (
    (
        re.compile(
            r"(?<![\w.:/])/(?:home|root|Users|tmp|work|usr|opt|var|private|mnt|srv|builds|app)/\S*"
        ),
        "path",
    ),
    (re.compile(r"\b[A-Za-z]:\\+\w\S*"), "path"),
    (re.compile(r"\bfile://\S*"), "path"),
    (
        re.compile(r"\blocalhost\b|(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])|://[^/\s\"'<>]+:\d+"),
        "host address",
    ),
    (re.compile(r"\bat 0x[0-9a-fA-F]{6,}"), "memory address"),
)


def output_problems(page: Page) -> list[str]:
    """Outputs name no machine and hold no warning."""
    problems = []
    for cell in page.code:
        for output in cell.outputs:
            if output["output_type"] == "stream" and output["name"] == "stderr":
                problems.append(
                    f"{page.name}: {cell} wrote to stderr: {output['text'].strip()[:80]!r}"
                )
        texts = [text for _, text in text_outputs(cell.outputs)]
        texts += [line for output in cell.outputs for line in output.get("traceback", [])]
        for text in texts:
            for pattern, what in _MACHINE:
                if found := pattern.search(text):
                    problems.append(f"{page.name}: {cell} shows a {what}: {found[0][:80]!r}")
    return problems


def tag_problems(page: Page) -> list[str]:
    """Only known tags, and outputs ignored for timings alone."""
    problems = []
    ignored = [cell for cell in page.code if IGNORE_TAG in cell.tags]
    for cell in page.cells:
        if unknown := sorted(set(cell.tags) - ALLOWED_TAGS.get(cell.kind, set())):
            problems.append(f"{page.name}: {cell} has the unknown tag {', '.join(unknown)}")
    for cell in page.code:
        if re.search(r"^\s*#\s*(NBVAL_|PYTEST_VALIDATE)", cell.source, flags=re.MULTILINE):
            problems.append(f"{page.name}: {cell} steers nbval by a comment")
    for cell in ignored:
        if not TIMERS.search(cell.source):
            problems.append(f"{page.name}: {cell} is tagged {IGNORE_TAG} but times nothing")
    if len(ignored) > MAX_IGNORED:
        problems.append(
            f"{page.name}: {len(ignored)} cells are tagged {IGNORE_TAG}, at most {MAX_IGNORED}"
        )
    return problems


def metadata_problems(page: Page) -> list[str]:
    """Metadata are the normalised ones, so that a rerun changes nothing but outputs."""
    if not page.is_notebook:
        return []
    problems = []
    if page.nbformat != (4, 5):
        problems.append(
            f"{page.name}: nbformat is {page.nbformat[0]}.{page.nbformat[1]}, expected 4.5"
        )
    expected = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    found = {key: value for key, value in page.metadata.items() if key != "jupytext"}
    if found != expected:
        problems.append(f"{page.name}: notebook metadata are {found}, expected {expected}")
    ids = Counter(cell.id for cell in page.cells)
    problems += [
        f"{page.name}: {times} cells have the id {name}"
        for name, times in ids.items()
        if times > 1 or not name
    ]
    for cell in page.cells:
        if extra := sorted(set(cell.metadata) - CELL_METADATA):
            problems.append(
                f"{page.name}: {cell} has the metadata {', '.join(extra)}; "
                f"allowed are {sorted(CELL_METADATA)}"
            )
        if not cell.source.strip() and cell.kind != "code":
            problems.append(f"{page.name}: {cell} is empty")
    return problems


# --- Structure ------------------------------------------------------------------------------------


def toc_problems(root: Path) -> list[str]:
    """Every page is in ``_toc.yml`` once, and every entry is a page."""
    entries = Counter(_toc_entries(yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))))
    pages: dict[str, list[str]] = defaultdict(list)
    for path in page_paths(root):
        pages[path.relative_to(root).with_suffix("").as_posix()].append(path.name)
    problems = [
        f"_toc.yml: {entry} is listed {times} times"
        for entry, times in entries.items()
        if times > 1
    ]
    problems += [f"_toc.yml: {entry} does not exist" for entry in entries if entry not in pages]
    problems += [f"{page}: missing from _toc.yml" for page in pages if page not in entries]
    problems += [
        f"{page}: is both {' and '.join(names)}" for page, names in pages.items() if len(names) > 1
    ]
    return problems


def _toc_entries(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _toc_entries(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ("file", "root"):
                yield re.sub(r"\.(md|ipynb)$", "", str(value))
            elif isinstance(value, dict | list):
                yield from _toc_entries(value)


def heading_problems(page: Page) -> list[str]:
    """One title, first; no level skipped; no number typed; none inside a directive."""
    headings = [heading for _, content in page.contents() for heading in content.headings]
    problems = [
        f"{page.name}: the heading {heading.text!r} is inside a directive"
        for heading in headings
        if heading.inside_directive
    ]
    outer = [heading for heading in headings if not heading.inside_directive]
    titles = sum(heading.level == 1 for heading in outer)
    if titles != 1:
        problems.append(f"{page.name}: {titles} headings of level 1, expected one")
    if outer and outer[0].level != 1:
        problems.append(
            f"{page.name}: the first heading {outer[0].text!r} is of level {outer[0].level}, "
            "not the title"
        )
    for above, below in pairwise(outer):
        if below.level > above.level + 1:
            problems.append(
                f"{page.name}: {below.text!r} (level {below.level}) follows "
                f"{above.text!r} (level {above.level}): a level is skipped"
            )
    for heading in outer:
        if not heading.text:
            problems.append(f"{page.name}: a heading is empty")
        if re.match(r"(\d+\.)+\d*\s|\d+\s*[.:)–-]\s", heading.text):
            problems.append(f"{page.name}: the heading {heading.text!r} has its number typed in")
    return problems


_IMAGE = re.compile(r"image/(png|jpeg|svg\+xml|gif)$")


def _image_count(cell: Cell) -> int:
    return sum(
        any(_IMAGE.match(mime) for mime in output.get("data", {})) for output in cell.outputs
    )


def figure_metadata(cell: Cell) -> tuple[str, str, str]:
    """Return name, caption and alt text from a cell's metadata, each empty if missing."""
    mystnb = cell.metadata.get("mystnb") or {}
    figure, image = mystnb.get("figure") or {}, mystnb.get("image") or {}
    texts = (figure.get("name"), figure.get("caption"), image.get("alt"))
    name, caption, alt = (" ".join(str(text or "").split()) for text in texts)
    return name, caption, alt


def figure_problems(page: Page) -> list[str]:
    """Every figure has a name, a caption and an alt text of its own, and the text refers to it."""
    problems = []
    referred = {
        _target(role.content)
        for _, content in page.contents()
        for role in content.roles
        if role.name == "numref"
    }
    for cell in page.code:
        images = _image_count(cell)
        name, caption, alt = figure_metadata(cell)
        where = f"{page.name}: {cell}"
        if not images:
            if name or caption or alt:
                problems.append(f"{where} describes a figure but shows none")
            continue
        if images > 1:
            problems.append(f"{where} shows {images} figures; a cell makes one")
        if not re.fullmatch(r"fig-[a-z0-9]+(-[a-z0-9]+)*", name):
            problems.append(f"{where}: the figure's name is {name!r}, expected 'fig-...'")
        elif name not in referred:
            problems.append(f"{where}: nothing in the text refers to {name} by {{numref}}")
        if not caption:
            problems.append(f"{where}: a figure without caption")
        if "class" in (cell.metadata["mystnb"].get("image") or {}):
            problems.append(f"{where}: the image has the key 'class', MyST-NB reads 'classes'")
        if len(alt) <= MIN_ALT:
            problems.append(
                f"{where}: a figure without alt text of more than {MIN_ALT} characters "
                f"(got {alt!r})"
            )
        elif alt.rstrip(".").lower() == caption.rstrip(".").lower():
            problems.append(f"{where}: the alt text repeats the caption")
    return problems


def figure_name_problems(pages: Iterable[Page]) -> list[str]:
    """Names of figures are unique over the book, and every ``{numref}`` has its figure."""
    pages = list(pages)
    named = [
        (name, page.name)
        for page in pages
        for cell in page.code
        if (name := figure_metadata(cell)[0])
    ]
    problems = _repeated("the figure name", named)
    for page in pages:
        for _, content in page.contents():
            names = {
                directive.options["name"]
                for directive in content.directives
                if directive.name in ("figure", "table", "list-table")
                and "name" in directive.options
            }
            named += [(name, page.name) for name in names]
    known = {name for name, _ in named}
    for page in pages:
        for cell, content in page.contents():
            for role in content.roles:
                if role.name == "numref" and _target(role.content) not in known:
                    problems.append(
                        f"{page.name}: {cell} refers to the unknown figure {_target(role.content)}"
                    )
    return problems


def _repeated(what: str, named: Iterable[tuple[str, str]]) -> list[str]:
    places = defaultdict(list)
    for name, place in named:
        places[name].append(place)
    return [
        f"{what} {name} stands {len(at)} times: {', '.join(at)}"
        for name, at in places.items()
        if len(at) > 1
    ]


def _target(content: str) -> str:
    """Return the label in a role's content: ``text <label>`` or ``label``."""
    found = re.fullmatch(r".*<([^<>]+)>", content, flags=re.DOTALL)
    return (found[1] if found else content).strip()


# --- Code -----------------------------------------------------------------------------------------


def code_problems(page: Page) -> list[str]:
    """Cells are short plain Python with seeded randomness only."""
    problems = []
    aliases: dict[str, str] = {}
    for cell in page.code:
        where = f"{page.name}: {cell}"
        lines = [line for line in cell.source.splitlines() if line.strip()]
        if len(lines) > MAX_LINES and "hide-input" not in cell.tags:
            problems.append(
                f"{where} has {len(lines)} lines of source, "
                f"at most {MAX_LINES} unless tagged hide-input"
            )
        try:
            tree = ast.parse(cell.source)
        except SyntaxError as error:
            problems.append(f"{where} is not plain Python: {error.msg}")
            continue
        problems += [f"{where}: {complaint}" for complaint in _unseeded(tree, aliases)]
    return problems


def _unseeded(tree: ast.Module, aliases: dict[str, str]) -> Iterator[str]:
    """Yield each use of global or unseeded random state.

    `aliases` carries the imports from cell to cell.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                aliases[name.asname or name.name.split(".")[0]] = (
                    name.name if name.asname else name.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for name in node.names:
                aliases[name.asname or name.name] = f"{node.module}.{name.name}"
    used = set()
    for node in ast.walk(tree):
        dotted = _dotted(node, aliases)
        if dotted is not None:
            used.add(dotted)
        if isinstance(node, ast.Call) and _dotted(node.func, aliases) in (
            "numpy.random.default_rng",
            "numpy.random.SeedSequence",
        ):
            arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
            if not arguments or (
                isinstance(arguments[0], ast.Constant) and arguments[0].value is None
            ):
                yield "a random generator without a seed"
    for dotted in sorted(used):
        if dotted.startswith("numpy.random.") and dotted.split(".")[2] not in SEEDED:
            yield f"{dotted} uses global random state; use numpy.random.default_rng(seed)"
        elif dotted.startswith("random."):
            yield f"{dotted} uses the random module; use numpy.random.default_rng(seed)"
        elif dotted.rsplit(".", 1)[-1] == "clear_output":
            yield "clear_output cannot be compared by nbval"


def _dotted(node: ast.AST, aliases: dict[str, str]) -> str | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in aliases:
        return None
    return ".".join([aliases[node.id], *reversed(parts)])


def _imported(cell: Cell) -> set[str]:
    """Return the top packages that a cell imports."""
    try:
        tree = ast.parse(cell.source)
    except SyntaxError:
        return set()
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


# --- The form of a lesson -------------------------------------------------------------------------


def lesson_problems(page: Page) -> list[str]:
    """A lesson has its parts, in their order."""
    if not page.is_lesson:
        return []
    return [
        f"{page.name}: {text}"
        for part in (_opening, _sections, _imports, _exercises)
        for text in part(page)
    ]


def _opening(page: Page) -> Iterator[str]:
    first = page.cells[0].content if page.cells else parse("")
    if not first.headings or first.headings[0].level != 1:
        yield "does not open with its title"
    boxes = [box for box in first.named("admonition") if box.argument == OPENING_BOX]
    if len(boxes) != 1:
        yield f"its first cell needs one admonition {OPENING_BOX!r}"
        return
    body = boxes[0].body
    places = [body.find(lead) for lead in LEAD_INS]
    for lead, place in zip(LEAD_INS, places, strict=True):
        if place < 0:
            yield f"the box {OPENING_BOX!r} lacks {lead}"
    if min(places) < 0:
        return
    if places != sorted(places):
        yield f"the box {OPENING_BOX!r} is out of order; expected {', '.join(LEAD_INS)}"
        return
    ends = [*places[1:], len(body)]
    said = [
        body[start + len(lead) : end].strip()
        for lead, start, end in zip(LEAD_INS, places, ends, strict=True)
    ]
    for lead, text in zip(LEAD_INS, said, strict=True):
        if not text:
            yield f"the box {OPENING_BOX!r} says nothing after {lead}"
    goals = len(re.findall(r"^\s*[-*] ", said[1], flags=re.MULTILINE))
    if not 3 <= goals <= 5:
        yield f"the box {OPENING_BOX!r} lists {goals} things to be able to do, expected 3 to 5"


def _section_cells(page: Page) -> list[tuple[str, int]]:
    """Return each heading of level 2 with the number of its cell."""
    return [
        (heading.text, cell.number)
        for cell, content in page.contents()
        for heading in content.headings
        if heading.level == 2 and not heading.inside_directive
    ]


def _sections(page: Page) -> Iterator[str]:
    sections = _section_cells(page)
    names = [name for name, _ in sections]
    closing = tuple(names[-len(CLOSING_SECTIONS) :])
    if closing != CLOSING_SECTIONS:
        yield f"closes with the sections {list(closing)}, expected {list(CLOSING_SECTIONS)}"
    if len(names) <= len(CLOSING_SECTIONS):
        yield "has no section of its own before the closing ones"
    boxes = [cell for cell in page.markdown if "claims" in cell.tags]
    if not boxes:
        yield f"has no cell tagged claims (the box {CLAIMS_BOX!r})"
    place = dict(sections).get(CLOSING_SECTIONS[0], len(page.cells))
    for cell in boxes:
        titles = [directive.argument for directive in cell.content.named("admonition")]
        if titles != [CLAIMS_BOX]:
            yield f"{cell} is tagged claims but is not the box {CLAIMS_BOX!r} alone"
        if cell.number > place:
            yield f"the box {CLAIMS_BOX!r} ({cell}) must come before {CLOSING_SECTIONS[0]!r}"


def _imports(page: Page) -> Iterator[str]:
    if not page.code:
        yield "has no code"
        return
    first, *rest = page.code
    try:
        statements = ast.parse(first.source).body
    except SyntaxError:
        statements = []
    is_import = [isinstance(statement, ast.Import | ast.ImportFrom) for statement in statements]
    if not is_import or not is_import[0]:
        yield "the first code cell is not the imports cell"
    if sorted(is_import, reverse=True) != is_import:
        yield "the imports cell mixes imports with other statements; imports first"
    if "companion" not in _imported(first):
        yield "the imports cell does not import companion"
    sections = dict(_section_cells(page))
    start, end = (sections.get(name, len(page.cells)) for name in CLOSING_SECTIONS[:2])
    for cell in rest:
        late = _imported(cell) - ({"torch"} if start < cell.number < end else set())
        if late:
            yield f"{cell} imports {', '.join(sorted(late))}; imports belong in the first code cell"


def _exercises(page: Page) -> Iterator[str]:
    sections = dict(_section_cells(page))
    start, end = (sections.get(name, len(page.cells)) for name in CLOSING_SECTIONS[1:3])
    events: list[tuple[int, Directive | Cell]] = []
    for cell in page.cells:
        events += [(cell.number, directive) for directive in cell.content.directives]
        if cell.kind == "code":
            events.append((cell.number, cell))
    starts = [
        position
        for position, (_, event) in enumerate(events)
        if isinstance(event, Directive) and event.name in ("exercise", "exercise-start")
    ]
    if not 2 <= len(starts) <= 4:
        yield f"has {len(starts)} exercises, expected 2 to 4"
    for here, after in zip(starts, [*starts[1:], len(events)], strict=True):
        number, exercise = events[here]
        assert isinstance(exercise, Directive)
        label = exercise.options.get("label", "")
        if not re.fullmatch(r"ex-[a-z0-9-]+", label):
            yield f"cell {number}: the exercise's label is {label!r}, expected 'ex-...'"
        if not exercise.argument:
            yield f"cell {number}: the exercise {label} has no title"
        if not start <= number <= end:
            yield f"cell {number}: the exercise {label} is outside its section"
        yield from (
            f"the exercise {label} {complaint}"
            for complaint in _one_exercise(label, events[here + 1 : after])
        )


def _one_exercise(label: str, events: Sequence[tuple[int, Directive | Cell]]) -> Iterator[str]:
    hints: list[str] = []
    solution: list[Cell] | None = None
    closed = False
    for _, event in events:
        if isinstance(event, Cell):
            if solution is not None and not closed:
                solution.append(event)
        elif event.name == "dropdown" and event.argument.startswith("Hint"):
            hints.append(event.argument)
            if solution is not None:
                yield "gives a hint after its solution"
        elif event.name == "solution-start":
            if event.argument != label:
                yield f"is followed by the solution of {event.argument}"
            solution = []
        elif event.name == "solution-end":
            closed = solution is not None
    if len(hints) < 2 or hints != [f"Hint {number}" for number in range(1, len(hints) + 1)]:
        yield f"has the hints {hints}, expected 'Hint 1', 'Hint 2' and so on"
    if solution is None or not closed:
        yield "has no solution between solution-start and solution-end"
    elif not solution:
        yield "has a solution that does not run (no code cell)"
    elif not re.search(r"\bcheck\.\w+\(", solution[-1].source):
        yield "has a solution whose last code cell does not call check"


def exercise_label_problems(pages: Iterable[Page]) -> list[str]:
    """Labels of exercises are unique over the book."""
    labels = [
        (directive.options["label"], page.name)
        for page in pages
        for _, content in page.contents()
        for directive in content.directives
        if directive.name in ("exercise", "exercise-start") and "label" in directive.options
    ]
    return _repeated("the exercise label", labels)


# --- Numbers in prose -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Printed:
    """The numbers that a notebook's code printed or glued, without their signs."""

    values: frozenset[Decimal]
    percentages: frozenset[Decimal]
    fractions: frozenset[Decimal]

    def holds(self, value: Decimal, *, percent: bool) -> bool:
        """Return whether a number of the prose is one of these."""
        if percent:
            is_whole = value == value.to_integral_value()
            return (
                value in self.percentages
                or value / 100 in self.fractions
                or (not is_whole and value in self.values)
            )
        return value in self.values


_PERCENT = re.compile(r"\s?(%|per cent\b|percent\b)")


def _written_numbers(text: str) -> Iterator[tuple[str, Decimal, bool]]:
    """Yield each number of `text`: as written, its size, whether it is a percentage."""
    for found in NUMBER.finditer(text):
        written = found[0].lstrip("+-\u2212")
        # A full stop that ends the sentence is not part of the number.
        written = written.removesuffix(".")
        percent = _PERCENT.match(text, found.start() + len(found[0])) is not None
        yield written, Decimal(written.replace(",", "")), percent


def printed_numbers(page: Page) -> Printed:
    """Collect the numbers in the text outputs of a notebook, the glued strings among them."""
    values, percentages, fractions = set(), set(), set()
    for cell in page.code:
        for kind, raw in text_outputs(cell.outputs):
            text = raw
            if kind.endswith("text/html"):
                text = re.sub(
                    r"<(script|style)\b.*?</\1\s*>|<[^>]*>",
                    " ",
                    raw,
                    flags=re.DOTALL | re.IGNORECASE,
                )
            text = re.sub(r"<Figure size [^>]*>", "", text)
            for written, value, percent in _written_numbers(text):
                values.add(value)
                if percent:
                    percentages.add(value)
                # "10 %" in prose is not the 0.1 that some cell printed; it is the 0.10 or 0.100.
                if len(written.partition(".")[2]) >= 2:
                    fractions.add(value)
    return Printed(frozenset(values), frozenset(percentages), frozenset(fractions))


def prose_number_problems(page: Page) -> list[str]:
    """No number stands bare in the prose that the notebook's code printed."""
    printed = printed_numbers(page)
    problems = []
    for place, text in _prose(page):
        for written, value, percent in _written_numbers(text):
            # "004" is the name of a source, not a quantity.
            is_name = written.isdigit() and written.startswith("0")
            notable = not is_name and (percent or not written.isdigit() or len(written) >= 3)
            if notable and printed.holds(value, percent=percent):
                shown = f"{written} %" if percent else written
                problems.append(
                    f"{page.name}: {place} has the bare number {shown}, "
                    "which a code cell printed; glue it"
                )
    return problems


def _prose(page: Page) -> Iterator[tuple[Cell, str]]:
    for cell, content in page.contents():
        for text in content.prose:
            yield cell, text
        # A formula or code span that is only a number is a number in disguise.
        for span in content.lone_spans:
            bare = span.replace("\\%", "%").replace("{,}", ",").replace("\\,", "")
            if re.fullmatch(rf"{NUMBER.pattern}\s*%?", bare, flags=re.VERBOSE):
                yield cell, bare
    for cell in page.code:
        _, caption, alt = figure_metadata(cell)
        yield cell, caption
        yield cell, alt


def glue_problems(page: Page) -> list[str]:
    """Every glued key is used and every used key is glued, once, as a formatted string."""
    problems = []
    glued: list[str] = []
    for cell in page.code:
        for output in cell.outputs:
            where = f"{page.name}: {cell}"
            record = output.get("metadata", {}).get("scrapbook")
            if record is None:
                continue
            glued.append(record["name"])
            data = output.get("data", {})
            text = data.get(GLUE_PREFIX + "text/plain", data.get("text/plain", ""))
            if not re.match(r"['\"]", text):
                problems.append(
                    f"{where} glues {record['name']} as {text[:30]}; glue a formatted string"
                )
            if record.get("mime_prefix") != GLUE_PREFIX:
                problems.append(
                    f"{where} glues {record['name']} and displays it; pass display=False"
                )
    problems += _repeated("the glued key", [(key, page.name) for key in glued])
    used = set()
    for cell, content in page.contents():
        for role in content.roles:
            if role.name != "glue" and not role.name.startswith("glue:"):
                continue
            used.add(role.content)
            if role.name != "glue:text" or ":" in role.content:
                problems.append(
                    f"{page.name}: {cell} uses {{{role.name}}}`{role.content}`; "
                    "expected {glue:text}`key`"
                )
        problems += [
            f"{page.name}: {cell} uses a glue directive"
            for d in content.directives
            if d.name.startswith("glue")
        ]
    problems += [f"{page.name}: {key} is used but not glued" for key in sorted(used - set(glued))]
    problems += [f"{page.name}: {key} is glued but not used" for key in sorted(set(glued) - used)]
    return problems


# --- Equations ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Docstring:
    """A docstring and the dotted name of what it describes."""

    name: str
    text: str
    kind: str


def docstrings(package: Path) -> list[Docstring]:
    """Return every docstring of a package, read without importing it."""
    found = []
    for path in sorted(package.rglob("*.py")):
        module = ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(
            ".__init__"
        )
        found += _docstrings_below(ast.parse(path.read_text(encoding="utf-8")), module)
    return found


def _docstrings_below(node: ast.AST, name: str) -> Iterator[Docstring]:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        text = ast.get_docstring(node)
        if text:
            yield Docstring(name, text, "module" if isinstance(node, ast.Module) else "object")
    for child in ast.iter_child_nodes(node):
        inner = (
            f"{name}.{child.name}"
            if hasattr(child, "name") and not isinstance(child, ast.alias)
            else name
        )
        yield from _docstrings_below(child, inner)


_EQ_ROLE = re.compile(r":eq:`([^`]+)`")
# Several equations may follow, up to the end of the sentence ("et al. 2015" does not end it) or of
# the paragraph.
_IMPLEMENTS = re.compile(r"\bImplements\b(?:(?!(?<=[a-z\d`)\]])\.\s+[A-Z]|\n\s*\n).)*", re.DOTALL)


def equation_problems(pages: Iterable[Page], package: Path) -> list[str]:
    """Numbered equations and the functions that compute them know each other."""
    pages = list(pages)
    problems = []
    labels: list[tuple[str, str]] = []
    for page in pages:
        for cell, content in page.contents():
            where = f"{page.name}: {cell}"
            labels += [(formula.label, page.name) for formula in content.formulas if formula.label]
            problems += [
                f"{where} numbers a {name} that has no label; use $$ … $$ (eq-…)"
                for name in content.numbered_latex
            ]
            for formula in content.formulas:
                if formula.label and not re.fullmatch(r"eq-[a-z0-9]+(-[a-z0-9]+)*", formula.label):
                    problems.append(
                        f"{where}: the equation's label is {formula.label!r}, expected 'eq-...'"
                    )
                if re.search(r"\\tag\b|\\begin\{(equation|align|gather|multline)\}", formula.text):
                    problems.append(f"{where}: a formula numbers itself; label it instead")
    problems += _repeated("the equation label", labels)
    known = {label for label, _ in labels}
    implemented = set()
    for docstring in docstrings(package):
        for label in _EQ_ROLE.findall(docstring.text):
            if label not in known:
                problems.append(
                    f"{docstring.name}: its docstring names the equation {label}, "
                    "which the book does not have"
                )
        if docstring.kind == "object":
            for sentence in _IMPLEMENTS.findall(docstring.text):
                implemented |= set(_EQ_ROLE.findall(sentence))
    for label, place in labels:
        if label not in implemented:
            problems.append(f"{place}: no docstring says 'Implements :eq:`{label}`'")
    for page in pages:
        for cell, content in page.contents():
            for role in content.roles:
                if role.name == "eq" and _target(role.content) not in known:
                    problems.append(
                        f"{page.name}: {cell} refers to the unknown equation "
                        f"{_target(role.content)}"
                    )
    return problems


# --- References and terms -------------------------------------------------------------------------

_VENUES = ("journal", "booktitle", "publisher", "school", "institution", "howpublished", "eprint")
# What Crossref recommends for the DOIs that are given out today.
_DOI = re.compile(r"10\.\d{4,9}/[-._;()/:A-Za-z0-9]+")
# Year and month, then four digits until 2014 and five since; before April 2007 archive and number.
_ARXIV = re.compile(
    r"((07(0[4-9]|1[0-2])|(08|09|1[0-4])(0[1-9]|1[0-2]))\.\d{4}"
    r"|(1[5-9]|[2-9]\d)(0[1-9]|1[0-2])\.\d{5}"
    r"|[a-z]+(-[a-z]+)?(\.[A-Z]{2})?/(9[1-9]|0[0-7])(0[1-9]|1[0-2])\d{3})(v[1-9]\d?)?"
)
# How prose and addresses name one. A sentence may go on after it.
_NAMED = {
    "DOI": (re.compile(r"(?:\bdoi\.org/|\bdoi:\s*)([^\s<>`\"]+)", re.IGNORECASE), _DOI),
    "arXiv number": (
        re.compile(r"(?:\barxiv\.org/\w+/|\barxiv:\s*)([^\s<>`\"]+)", re.IGNORECASE),
        _ARXIV,
    ),
}


def _is_isbn(text: str) -> bool:
    """Return whether the check digit of an ISBN-10 or ISBN-13 is right."""
    digits = text.replace("-", "").replace(" ", "").upper()
    if re.fullmatch(r"\d{9}[\dX]", digits):
        total = sum(
            (10 - i) * (10 if digit == "X" else int(digit)) for i, digit in enumerate(digits)
        )
        return total % 11 == 0
    if re.fullmatch(r"97[89]\d{10}", digits):
        return sum(int(digit) * (3 if i % 2 else 1) for i, digit in enumerate(digits)) % 10 == 0
    return False


def entry_problems(key: str, entry: Entry) -> list[str]:
    """A bibliography entry says who, what, when, where, and how to find it."""
    fields = {name.lower(): str(value).strip() for name, value in entry.fields.items()}
    problems = []
    if not (entry.persons.get("author") or entry.persons.get("editor")):
        problems.append("has no author")
    if not fields.get("title"):
        problems.append("has no title")
    if not re.fullmatch(r"(1[89]|20)\d\d", fields.get("year", "")):
        problems.append(f"has the year {fields.get('year')!r}")
    if not any(fields.get(venue) for venue in _VENUES):
        problems.append("has no venue")
    if "doi" in fields and not _DOI.fullmatch(fields["doi"]):
        problems.append(f"has the doi {fields['doi']!r}, expected '10.…/…'")
    if "eprint" in fields and not _ARXIV.fullmatch(fields["eprint"]):
        problems.append(f"has the eprint {fields['eprint']!r}, expected an arXiv number")
    if "isbn" in fields and not _is_isbn(fields["isbn"]):
        problems.append(f"has the isbn {fields['isbn']!r}, which is not valid")
    findable = {"doi", "eprint", "isbn"} & set(fields) or {"url", "note"} <= set(fields)
    if not findable:
        problems.append("has neither doi nor eprint nor isbn, nor a url with a note")
    return [f"references.bib: {key} {problem}" for problem in problems]


def reference_problems(
    pages: Iterable[Page], bibliography: Path, package: Path, claims: Path
) -> list[str]:
    """Citations and bibliography match, and every entry is complete."""
    try:
        entries = dict(parse_file(str(bibliography)).entries.items())
    except PybtexError as error:
        return [f"references.bib: {error}"]
    problems = [problem for key, entry in entries.items() for problem in entry_problems(key, entry)]
    cited: list[tuple[str, str]] = []
    for page in pages:
        for cell, content in page.contents():
            cited += [(key, f"{page.name}: {cell}") for key in _cited_by_roles(content.roles)]
    for docstring in docstrings(package):
        keys = re.findall(r":cite(?::\w+)?:`([^`]+)`", docstring.text)
        cited += [(key.strip(), docstring.name) for group in keys for key in group.split(",")]
    for text in _strings(
        yaml.safe_load(claims.read_text(encoding="utf-8")) if claims.exists() else None
    ):
        cited += [(key, claims.name) for key in _cited_by_roles(parse(text).roles)]
        if text in entries:
            cited.append((text, claims.name))
    problems += [
        f"{place} cites {key}, which is not in references.bib"
        for key, place in cited
        if key not in entries
    ]
    known = {key for key, _ in cited}
    return problems + [
        f"references.bib: {key} is cited nowhere" for key in entries if key not in known
    ]


def identifier_problems(pages: Iterable[Page], package: Path, claims: Path) -> list[str]:
    """A DOI or an arXiv number in prose, in a docstring or in the claims has the form of one."""
    texts = [(f"{page.name}: {cell}", cell.source) for page in pages for cell in page.markdown]
    texts += [(docstring.name, docstring.text) for docstring in docstrings(package)]
    if claims.exists():
        texts.append((claims.name, claims.read_text(encoding="utf-8")))
    return [
        f"{place} names the {kind} {text!r}, which has not the form of one"
        for place, source in texts
        for kind, (names, form) in _NAMED.items()
        for text in (found.rstrip(".,;:)]}*'") for found in names.findall(source))
        if not form.fullmatch(text)
    ]


def _cited_by_roles(roles: Iterable[Any]) -> list[str]:
    groups = (
        role.content for role in roles if role.name == "cite" or role.name.startswith("cite:")
    )
    return [key.strip() for group in groups for key in group.split(",")]


def _strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from _strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from _strings(value)


def term_problems(pages: Iterable[Page]) -> list[str]:
    """Every ``{term}`` is in the glossary, and no term is explained twice."""
    pages = list(pages)
    terms = [
        (term.lower(), page.name)
        for page in pages
        for _, content in page.contents()
        for term in content.terms
    ]
    problems = _repeated("the glossary term", terms)
    known = {term for term, _ in terms}
    for page in pages:
        for cell, content in page.contents():
            for role in content.roles:
                if role.name == "term" and _target(role.content).lower() not in known:
                    problems.append(
                        f"{page.name}: {cell} uses the term {_target(role.content)!r}, "
                        "not in the glossary"
                    )
    return problems


# --- Everything -----------------------------------------------------------------------------------

PAGE_CHECKS = (
    execution_problems,
    output_problems,
    tag_problems,
    metadata_problems,
    heading_problems,
    figure_problems,
    code_problems,
    lesson_problems,
    prose_number_problems,
    glue_problems,
)
BOOK_CHECKS = (figure_name_problems, exercise_label_problems, term_problems)


def all_problems(root: Path, pages: Sequence[Page]) -> list[str]:
    """Return every complaint about the book under `root`."""
    problems = [problem for check in PAGE_CHECKS for page in pages for problem in check(page)]
    problems += [problem for check in BOOK_CHECKS for problem in check(pages)]
    problems += toc_problems(root)
    problems += equation_problems(pages, root / "companion")
    bibliography, claims = root / "book" / "references.bib", root / "book" / "claims.yml"
    problems += identifier_problems(pages, root / "companion", claims)
    return problems + reference_problems(pages, bibliography, root / "companion", claims)
