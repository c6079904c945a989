"""Check the claims file, and write what is derived from it.

``book/claims.yml`` holds what the five source articles say, what is true and what proves it. From
it come the box *From the sources* of each lesson (its cell tagged ``claims``) and the entries on
the page ``book/9-back/sources.md``.

Run as ``make claims``; with ``--check`` nothing is written, and stale files are named.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
CLAIMS = "book/claims.yml"
PAGE = "book/9-back/sources.md"
BIBLIOGRAPHY = "book/references.bib"
TOC = "_toc.yml"
START = "<!-- Below this line `make claims` writes. Change book/claims.yml instead. -->"

KINDS = ("claim", "formula", "listing", "reference", "application")
# The words of the verdict, and what each promises to the reader of an entry.
VERDICTS = {
    "right": "It stands as written.",
    "right-with-limits": "It holds under conditions that the source leaves out. We name them.",
    "corrected": "The idea is sound, the statement is not. We give the right form.",
    "wrong": "A proof, a measurement or the record contradicts it.",
    "unsupported": "The source gives no ground for it, and we know of none.",
    "crashes": "The listing stops with an error as printed. We say why.",
}


class ClaimsError(ValueError):
    """The claims file breaks its schema; the message has one line for each problem."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


@dataclass(frozen=True)
class Source:
    """One of the articles."""

    number: str
    title: str
    theme: str


@dataclass(frozen=True)
class Claim:
    """What a source says, our verdict, and the evidence for the verdict."""

    id: str
    source: str
    where: str
    kind: str
    says: str
    verdict: str
    correction: str
    lesson: str
    tests: tuple[str, ...]
    citations: tuple[str, ...]
    box: bool = True

    @property
    def gist(self) -> str:
        """Return the first sentence of the correction."""
        return re.split(r"(?<=[.!?])\s+(?=[A-Z$])", self.correction, maxsplit=1)[0]

    @property
    def anchor(self) -> str:
        """Return the name of the entry on the page; it is the slug of the entry's heading."""
        return f"claim-{self.id}"


@dataclass(frozen=True)
class Ledger:
    """The whole file."""

    sources: tuple[Source, ...]
    claims: tuple[Claim, ...]

    def lessons(self) -> list[str]:
        """Return the lessons that have claims, in the order of the file."""
        return list(dict.fromkeys(claim.lesson for claim in self.claims))

    def of_lesson(self, lesson: str) -> list[Claim]:
        """Return the claims of one lesson, in the order of the file."""
        return [claim for claim in self.claims if claim.lesson == lesson]


@dataclass(frozen=True)
class MarkedTest:
    """A test function: the claims it is marked with, and whether it may not run."""

    claims: frozenset[str]
    skipped: bool = False


# --- The schema ---------------------------------------------------------------------------------

_TEXT_FIELDS = ("id", "source", "where", "kind", "says", "verdict", "correction", "lesson")
_REQUIRED = (*_TEXT_FIELDS, "evidence")
_PATTERNS = {
    "id": re.compile(r"\d{3}(-[a-z0-9]+)+"),
    "lesson": re.compile(r"book/\d-[a-z-]+/[a-z0-9-]+"),
}
_NODE = re.compile(r"tests/[\w/]+\.py(::\w+){1,2}")
_SENTENCE_END = re.compile(r"[.!?]$")


def parse(text: str) -> Ledger:
    """Read a claims file.

    Raises
    ------
    ClaimsError
        With every breach of the schema, each naming the entry and the field.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ClaimsError([f"not YAML: {error}"]) from None
    if not isinstance(document, dict) or set(document) != {"sources", "claims"}:
        found = (
            sorted(map(str, document)) if isinstance(document, dict) else type(document).__name__
        )
        raise ClaimsError([f"expected the keys claims and sources, got {found}"])
    sources, problems = _parse_sources(document["sources"])
    numbers = [source.number for source in sources]
    entries = document["claims"]
    if not isinstance(entries, list):
        raise ClaimsError([*problems, f"claims must be a list, got {type(entries).__name__}"])
    for position, entry in enumerate(entries, start=1):
        problems += _entry_problems(entry, position, numbers)
    ids = Counter(entry["id"] for entry in entries if isinstance(entry, dict) and "id" in entry)
    problems += [
        f"{name}: the id is used {times} times" for name, times in ids.items() if times > 1
    ]
    if problems:
        raise ClaimsError(problems)
    return Ledger(sources, tuple(map(_claim, entries)))


def _parse_sources(node: Any) -> tuple[tuple[Source, ...], list[str]]:
    if not isinstance(node, dict):
        return (), [f"sources must map numbers to title and theme, got {type(node).__name__}"]
    sources, problems = [], []
    for number, fields in node.items():
        good = isinstance(fields, dict) and set(fields) == {"title", "theme"}
        if not good or not all(_is_text(value) for value in fields.values()):
            problems.append(f"source {number!r}: expected the texts title and theme")
        elif not isinstance(number, str) or not re.fullmatch(r"\d{3}", number):
            problems.append(f"source {number!r}: expected a quoted number of three digits")
        else:
            sources.append(Source(number, fields["title"].strip(), fields["theme"].strip()))
    return tuple(sources), problems


def _entry_problems(entry: Any, position: int, sources: Iterable[str]) -> list[str]:
    if not isinstance(entry, dict):
        return [f"entry {position}: expected a mapping, got {type(entry).__name__}"]
    name = entry.get("id", f"entry {position}")
    missing = [field for field in _REQUIRED if field not in entry]
    unknown = [str(field) for field in entry if field not in (*_REQUIRED, "box")]
    problems = [f"{name}: the field {field} is missing" for field in missing]
    problems += [f"{name}: unknown field {field}" for field in unknown]
    texts = {}
    for field in _TEXT_FIELDS:
        if field not in entry:
            continue
        if _is_text(entry[field]):
            texts[field] = entry[field]
        else:
            problems.append(
                f"{name}: {field} must be a text that is not empty, got {entry[field]!r}"
            )
    for field, pattern in _PATTERNS.items():
        if field in texts and not pattern.fullmatch(texts[field]):
            problems.append(f"{name}: {field} must match {pattern.pattern}, got {texts[field]!r}")
    for field, options in (("source", sources), ("kind", KINDS), ("verdict", VERDICTS)):
        if field in texts and texts[field] not in options:
            listed = ", ".join(options)
            problems.append(f"{name}: {field} must be one of {listed}, got {texts[field]!r}")
    if {"id", "source"} <= set(texts) and not texts["id"].startswith(texts["source"] + "-"):
        problems.append(f"{name}: the id must start with its source, {texts['source']}-")
    if texts.get("verdict") == "crashes" and texts.get("kind") != "listing":
        problems.append(f"{name}: only a listing crashes, this is a {texts.get('kind')}")
    for field in ("says", "correction"):
        if field in texts and not _SENTENCE_END.search(texts[field].strip()):
            problems.append(f"{name}: {field} must end as a sentence")
    if not isinstance(entry.get("box", True), bool):
        problems.append(f"{name}: box must be true or false, got {entry['box']!r}")
    if "evidence" in entry:
        problems += _evidence_form_problems(name, texts.get("kind", ""), entry["evidence"])
    return problems


def _evidence_form_problems(name: str, kind: str, evidence: Any) -> list[str]:
    if not isinstance(evidence, dict) or not set(evidence) <= {"tests", "citations"}:
        return [f"{name}: evidence must hold tests, citations or both, got {evidence!r}"]
    problems = []
    for field in ("tests", "citations"):
        values = evidence.get(field, [])
        if not isinstance(values, list) or not all(_is_text(value) for value in values):
            problems.append(f"{name}: evidence.{field} must be a list of texts, got {values!r}")
            evidence = {**evidence, field: []}
        elif len(set(values)) < len(values):
            problems.append(f"{name}: evidence.{field} names something twice")
    tests = evidence.get("tests", [])
    problems += [
        f"{name}: {test!r} is no test id of the form tests/…/test_….py::test_…"
        for test in tests
        if not _NODE.fullmatch(test)
    ]
    if not tests and not evidence.get("citations"):
        problems.append(f"{name}: no evidence")
    elif not tests and kind in ("listing", "formula"):
        problems.append(f"{name}: a {kind} needs a test as evidence, not only citations")
    return problems


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _claim(entry: Mapping[str, Any]) -> Claim:
    evidence = entry["evidence"]
    return Claim(
        **{field: " ".join(entry[field].split()) for field in _TEXT_FIELDS},
        tests=tuple(evidence.get("tests", ())),
        citations=tuple(evidence.get("citations", ())),
        box=entry.get("box", True),
    )


# --- The evidence -------------------------------------------------------------------------------


def marked_tests(source: str, path: str) -> dict[str, MarkedTest]:
    """Return the tests in one file by node id, read without importing it."""
    tree = ast.parse(source)
    found: dict[str, MarkedTest] = {}
    for name, decorators in _test_functions(tree.body, ()):
        marks = [mark for decorator in decorators if (mark := _mark(decorator))]
        claims = {
            argument for mark, arguments in marks if mark == "claim" for argument in arguments
        }
        skipped = any(mark in ("skip", "skipif", "xfail") for mark, _ in marks)
        found[f"{path}::{name}"] = MarkedTest(frozenset(claims), skipped)
    return found


def _test_functions(
    body: Sequence[ast.stmt], outer: tuple[ast.expr, ...], prefix: str = ""
) -> Iterator[tuple[str, tuple[ast.expr, ...]]]:
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            decorators = (*outer, *node.decorator_list)
            yield from _test_functions(node.body, decorators, f"{prefix}{node.name}::")
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            yield prefix + node.name, (*outer, *node.decorator_list)


def _mark(decorator: ast.expr) -> tuple[str, list[str]] | None:
    """Return the name and the texts of a ``@pytest.mark.name("text")``, or None for others."""
    call = decorator if isinstance(decorator, ast.Call) else None
    function = call.func if call else decorator
    if not isinstance(function, ast.Attribute) or ast.unparse(function.value) != "pytest.mark":
        return None
    arguments = call.args if call else []
    texts = [node.value for node in arguments if isinstance(node, ast.Constant)]
    return function.attr, [text for text in texts if isinstance(text, str)]


def collect_tests(root: Path) -> dict[str, MarkedTest]:
    """Return every test under ``tests/`` by node id."""
    nodes = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        name = path.relative_to(root).as_posix()
        nodes.update(marked_tests(path.read_text(encoding="utf-8"), name))
    return nodes


def evidence_problems(ledger: Ledger, tests: Mapping[str, MarkedTest], keys: set[str]) -> list[str]:
    """Compare the claims with the tests and the bibliography, in both directions."""
    problems = []
    for claim in ledger.claims:
        for test in claim.tests:
            if test not in tests:
                problems.append(f"{claim.id}: the test {test} does not exist")
            elif claim.id not in tests[test].claims:
                problems.append(f"{claim.id}: {test} lacks @pytest.mark.claim({claim.id!r})")
            elif tests[test].skipped:
                problems.append(f"{claim.id}: {test} is marked as skipped or failing")
        problems += [
            f"{claim.id}: {key} is not in {BIBLIOGRAPHY}"
            for key in claim.citations
            if key not in keys
        ]
    by_id = {claim.id: claim for claim in ledger.claims}
    for test, node in tests.items():
        for name in sorted(node.claims):
            if name not in by_id:
                problems.append(f"{test}: marked with the unknown claim {name}")
            elif test not in by_id[name].tests:
                problems.append(f"{test}: marked with {name}, whose evidence does not name it")
    return problems


def bibliography_keys(text: str) -> set[str]:
    """Return the keys of a BibTeX file."""
    return set(re.findall(r"^@\w+\s*\{\s*([^,\s]+)\s*,", text, flags=re.MULTILINE))


# --- What is written ----------------------------------------------------------------------------


def verdict_words(verdict: str) -> str:
    """Return the verdict as it stands before a sentence."""
    return verdict.replace("-", " ").capitalize()


def box(claims: Sequence[Claim], page: str) -> str:
    """Return the text of a lesson's cell.

    Parameters
    ----------
    claims : sequence of Claim
        All claims of the lesson; those with ``box=False`` are only counted.
    page : str
        Relative link from the lesson to the page on the sources.
    """
    shown = [claim for claim in claims if claim.box]
    rest = len(claims) - len(shown)
    lines = [
        ":::{admonition} From the sources",
        ":class: from-the-sources",
        "",
        "The course grew from five articles in which right and wrong stand side by side. "
        "On the question of this lesson they say:",
        "",
    ]
    for claim in shown:
        link = f"[evidence]({page}#{claim.anchor})"
        lines.append(
            f"- Source {claim.source}: *{claim.says}* "
            f"**{verdict_words(claim.verdict)}.** {claim.gist} ({link})"
        )
    lines.append("")
    if rest:
        entries = "One smaller point stands" if rest == 1 else f"{rest} smaller points stand"
        lines += [f"{entries} only on the [page about the sources]({page}).", ""]
    return "\n".join([*lines, ":::"])


def entries(ledger: Ledger, titles: Mapping[str, str]) -> str:
    """Return the generated part of the page: the count by verdict, then each entry.

    Parameters
    ----------
    ledger : Ledger
    titles : mapping of str to str
        Title of each lesson.
    """
    counts = Counter(claim.verdict for claim in ledger.claims)
    lines = ["## The verdicts", "", "| verdict | what it means | entries |", "|---|---|---:|"]
    lines += [
        f"| {verdict_words(name).lower()} | {meaning} | {counts[name]} |"
        for name, meaning in VERDICTS.items()
    ]
    lines += [f"| all | | {len(ledger.claims)} |", ""]
    for source in ledger.sources:
        own = [claim for claim in ledger.claims if claim.source == source.number]
        lines += [f"## Source {source.number}: {source.title}", "", source.theme, ""]
        if not own:
            lines += ["No entry yet: this source belongs to chapters that are still to come.", ""]
        for claim in own:
            lines += _entry(claim, titles[claim.lesson])
    return "\n".join(lines).rstrip("\n") + "\n"


def _entry(claim: Claim, title: str) -> list[str]:
    evidence = [f"- `{test}`" for test in claim.tests]
    if claim.citations:
        evidence.append(f"- {{cite:t}}`{','.join(claim.citations)}`")
    return [
        f"### Claim {claim.id}",
        "",
        f"**{verdict_words(claim.verdict)}** ({claim.kind}, {claim.where}; "
        f"lesson [{title}](../{claim.lesson.removeprefix('book/')}.ipynb))",
        "",
        f"**They say:** {claim.says}",
        "",
        f"**What is true:** {claim.correction}",
        "",
        "**Evidence:**",
        "",
        *evidence,
        "",
    ]


def page_with(page: str, generated: str) -> str:
    """Return a page with what stands below its marker replaced.

    Raises
    ------
    ClaimsError
        If the marker does not stand on the page once.
    """
    if page.count(START) != 1:
        raise ClaimsError([f"{PAGE}: needs this line once: {START}"])
    return f"{page[: page.index(START)]}{START}\n\n{generated}"


def notebook_with(notebook: str, name: str, text: str) -> str:
    """Return a notebook (as JSON text) with ``text`` in its cell tagged ``claims``.

    A notebook that holds the text already comes back unchanged, to the byte.

    Raises
    ------
    ClaimsError
        If there is not exactly one such cell, or it is not Markdown.
    """
    document = json.loads(notebook)
    cells = [c for c in document["cells"] if "claims" in c["metadata"].get("tags", [])]
    if len(cells) != 1 or cells[0]["cell_type"] != "markdown":
        raise ClaimsError([f"{name}: needs one Markdown cell tagged claims, has {len(cells)}"])
    if "".join(cells[0]["source"]) == text:
        return notebook
    cells[0]["source"] = text.splitlines(keepends=True)
    return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def title_of(notebook: str) -> str:
    """Return the title of a notebook: the first heading of level 1."""
    for cell in json.loads(notebook)["cells"]:
        if cell["cell_type"] == "markdown":
            found = re.search(r"^# (.+)$", "".join(cell["source"]), flags=re.MULTILINE)
            if found:
                return found[1].strip()
    return ""


def lesson_problems(ledger: Ledger, notebooks: Mapping[str, str], toc: str) -> list[str]:
    """Compare the lessons that the claims name with the notebooks and the table of contents.

    Parameters
    ----------
    ledger : Ledger
    notebooks : mapping of str to str
        JSON text of every notebook of the book, by its path without suffix.
    toc : str
        Text of ``_toc.yml``.
    """
    listed = set(re.findall(r"^\s*-?\s*(?:file|root):\s*(\S+?)(?:\.ipynb)?\s*$", toc, re.MULTILINE))
    problems = []
    for lesson in ledger.lessons():
        if lesson not in notebooks:
            problems.append(f"{lesson}.ipynb: has claims but does not exist")
        elif not title_of(notebooks[lesson]):
            problems.append(f"{lesson}.ipynb: has no title")
        if lesson not in listed:
            problems.append(f"{lesson}: has claims but is not in {TOC}")
        if not any(claim.box for claim in ledger.of_lesson(lesson)):
            problems.append(f"{lesson}: all its claims have box: false, so its box would be empty")
    for name, text in notebooks.items():
        tagged = any("claims" in c["metadata"].get("tags", []) for c in json.loads(text)["cells"])
        if tagged and name not in ledger.lessons():
            problems.append(f"{name}.ipynb: has a cell tagged claims, but {CLAIMS} has none for it")
    return problems


def read_notebooks(root: Path) -> dict[str, str]:
    """Return the JSON text of every notebook of the book, by its path without suffix."""
    return {
        path.relative_to(root).with_suffix("").as_posix(): path.read_text(encoding="utf-8")
        for path in sorted((root / "book").rglob("*.ipynb"))
        if ".ipynb_checkpoints" not in path.parts
    }


def derived(ledger: Ledger, page: str, notebooks: Mapping[str, str]) -> dict[str, str]:
    """Return the text that each derived file should have, by its name.

    Lessons that do not exist are left out, see :func:`lesson_problems`.
    """
    present = [lesson for lesson in ledger.lessons() if lesson in notebooks]
    titles = {lesson: lesson.rsplit("/", 1)[-1] for lesson in ledger.lessons()}
    titles |= {lesson: title_of(notebooks[lesson]) for lesson in present}
    files = {PAGE: page_with(page, entries(ledger, titles))}
    link = f"../{PAGE.removeprefix('book/')}"
    for lesson in present:
        name = f"{lesson}.ipynb"
        files[name] = notebook_with(notebooks[lesson], name, box(ledger.of_lesson(lesson), link))
    return files


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Write what is derived; return 1 if something is wrong or, with ``--check``, stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, name stale files")
    check = parser.parse_args(arguments).check

    def read(name: str) -> str:
        return (root / name).read_text(encoding="utf-8")

    try:
        ledger = parse(read(CLAIMS))
        notebooks = read_notebooks(root)
        files = derived(ledger, read(PAGE), notebooks)
    except ClaimsError as error:
        print(f"{CLAIMS} was not used:\n{error}", file=sys.stderr)
        return 1
    problems = lesson_problems(ledger, notebooks, read(TOC))
    problems += evidence_problems(
        ledger, collect_tests(root), bibliography_keys(read(BIBLIOGRAPHY))
    )
    stale = [name for name, text in files.items() if read(name) != text]
    if check:
        problems += [f"{name}: stale, run make claims" for name in stale]
    else:
        for name in stale:
            (root / name).write_text(files[name], encoding="utf-8")
            print(f"wrote {name}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
