"""The claims file, its evidence and what is derived; and the checker on files broken on purpose.

The oracle of a broken file is the rule it breaks: the one complaint that names entry and rule must
appear, and the unbroken file has none.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.book.reading import page_paths, parse
from tools import claims

# --- The real file -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ledger() -> claims.Ledger:
    return claims.parse((claims.ROOT / claims.CLAIMS).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def notebooks() -> dict[str, str]:
    return claims.read_notebooks(claims.ROOT)


def test_every_claim_has_evidence_that_exists_and_says_so(ledger: claims.Ledger) -> None:
    keys = claims.bibliography_keys((claims.ROOT / claims.BIBLIOGRAPHY).read_text(encoding="utf-8"))
    assert claims.evidence_problems(ledger, claims.collect_tests(claims.ROOT), keys) == []


def test_every_lesson_with_claims_is_in_the_book(
    ledger: claims.Ledger, notebooks: dict[str, str]
) -> None:
    toc = (claims.ROOT / claims.TOC).read_text(encoding="utf-8")
    assert claims.lesson_problems(ledger, notebooks, toc) == []


def test_boxes_and_page_are_not_stale(ledger: claims.Ledger, notebooks: dict[str, str]) -> None:
    """Oracle: the file that `make claims` would write."""
    page = (claims.ROOT / claims.PAGE).read_text(encoding="utf-8")
    files = claims.derived(ledger, page, notebooks)
    stale = [
        name
        for name, text in files.items()
        if (claims.ROOT / name).read_text(encoding="utf-8") != text
    ]
    assert stale == []


def test_every_source_is_covered(ledger: claims.Ledger) -> None:
    assert [source.number for source in ledger.sources] == ["000", "001", "002", "003", "004"]
    assert {claim.source for claim in ledger.claims} == {source.number for source in ledger.sources}


def test_every_anchor_of_a_box_is_a_heading_of_the_page(
    ledger: claims.Ledger, notebooks: dict[str, str]
) -> None:
    """Oracle: the headings as MyST's parser finds them, made into anchors as GitHub does."""
    page = (claims.ROOT / claims.PAGE).read_text(encoding="utf-8")
    anchors = {heading.text.lower().replace(" ", "-") for heading in parse(page).headings}
    for lesson in ledger.lessons():
        box = claims.box(ledger.of_lesson(lesson), "page.md")
        for claim in ledger.of_lesson(lesson):
            assert claim.anchor in anchors
            assert (f"(page.md#{claim.anchor})" in box) == claim.box


def test_the_real_tests_are_found_by_reading_alone(request: pytest.FixtureRequest) -> None:
    """Oracle: pytest's own collection of this file."""
    path = Path(__file__).relative_to(claims.ROOT).as_posix()
    read = claims.marked_tests(Path(__file__).read_text(encoding="utf-8"), path)
    collected = {
        item.nodeid.split("[")[0]
        for item in request.session.items
        if item.nodeid.startswith(f"{path}::")
    }
    assert collected <= set(read)
    assert request.node.nodeid in read


# --- A small good file, and what is found when it is broken --------------------------------------

GOOD: dict[str, Any] = {
    "sources": {
        "000": {"title": "On weights", "theme": "It weighs them."},
        "001": {"title": "On steps", "theme": "It counts them."},
    },
    "claims": [
        {
            "id": "000-rule",
            "source": "000",
            "where": "section 1",
            "kind": "formula",
            "says": "Steps go up.",
            "verdict": "wrong",
            "correction": "Steps go down. They end at $x = 0$.",
            "lesson": "book/2-learning/steps",
            "evidence": {"tests": ["tests/test_steps.py::test_down"], "citations": ["cauchy1847"]},
        },
        {
            "id": "001-advice",
            "source": "001",
            "where": "section 2",
            "kind": "claim",
            "says": "Small steps are better.",
            "verdict": "right-with-limits",
            "correction": "They are safer.",
            "lesson": "book/2-learning/steps",
            "evidence": {"citations": ["cauchy1847"]},
            "box": False,
        },
    ],
}
TESTS = """
import pytest

@pytest.mark.claim("000-rule")
def test_down():
    pass

def helper():
    pass

@pytest.mark.parametrize("x", [1])
class TestSteps:
    @pytest.mark.parametrize("y", [2])
    def test_inside(self, x, y):
        pass
"""
TOC = "root: book/index\nchapters:\n  - file: book/2-learning/steps\n"
KEYS = {"cauchy1847"}


def write(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def good() -> claims.Ledger:
    return claims.parse(write(GOOD))


def entry(index: int, **fields: Any) -> Callable[[dict[str, Any]], None]:
    """Change fields of an entry."""
    return lambda document: document["claims"][index].update(fields)


def without(field: str) -> Callable[[dict[str, Any]], None]:
    """Take a field of the first entry away."""

    def change(document: dict[str, Any]) -> None:
        del document["claims"][0][field]

    return change


def whole(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Replace a part of the document."""
    return lambda document: document.update({key: value})


def test_the_good_file_is_read_as_written() -> None:
    ledger = good()
    assert [claim.id for claim in ledger.claims] == ["000-rule", "001-advice"]
    first, second = ledger.claims
    assert (first.tests, first.citations, first.box) == (
        ("tests/test_steps.py::test_down",),
        ("cauchy1847",),
        True,
    )
    assert (second.tests, second.box) == ((), False)
    assert ledger.lessons() == ["book/2-learning/steps"]
    assert (
        claims.evidence_problems(ledger, claims.marked_tests(TESTS, "tests/test_steps.py"), KEYS)
        == []
    )


BROKEN = {
    "no evidence": (entry(1, evidence={}), "001-advice: no evidence"),
    "empty lists": (entry(1, evidence={"tests": [], "citations": []}), "001-advice: no evidence"),
    "formula without test": (
        entry(0, evidence={"citations": ["cauchy1847"]}),
        "000-rule: a formula needs a test as evidence, not only citations",
    ),
    "listing without test": (entry(1, kind="listing"), "001-advice: a listing needs a test"),
    "evidence is a list": (
        entry(0, evidence=["x"]),
        "000-rule: evidence must hold tests, citations or both",
    ),
    "unknown evidence": (
        entry(0, evidence={"hearsay": ["x"]}),
        "000-rule: evidence must hold tests, citations or both",
    ),
    "tests are a text": (
        entry(0, evidence={"tests": "tests/test_steps.py::test_down"}),
        "000-rule: evidence.tests must be a list of texts",
    ),
    "test named twice": (
        entry(0, evidence={"tests": ["tests/a.py::test_b", "tests/a.py::test_b"]}),
        "000-rule: evidence.tests names something twice",
    ),
    "no node id": (
        entry(0, evidence={"tests": ["test_down"]}),
        "000-rule: 'test_down' is no test id",
    ),
    "missing field": (without("says"), "000-rule: the field says is missing"),
    "missing evidence": (without("evidence"), "000-rule: the field evidence is missing"),
    "missing id": (without("id"), "entry 1: the field id is missing"),
    "unknown field": (entry(0, proof="yes"), "000-rule: unknown field proof"),
    "empty text": (entry(0, says="  "), "000-rule: says must be a text that is not empty"),
    "number as text": (
        entry(0, source=0),
        "000-rule: source must be a text that is not empty, got 0",
    ),
    "boolean verdict": (
        entry(0, verdict=False),
        "000-rule: verdict must be a text that is not empty, got False",
    ),
    "unknown verdict": (entry(0, verdict="false"), "000-rule: verdict must be one of right, "),
    "unknown kind": (entry(0, kind="rumour"), "000-rule: kind must be one of claim, "),
    "unknown source": (
        entry(0, source="007", id="007-rule"),
        "007-rule: source must be one of 000, 001",
    ),
    "id of other source": (
        entry(0, source="001"),
        "000-rule: the id must start with its source, 001-",
    ),
    "id in capitals": (entry(0, id="000-Rule"), "000-Rule: id must match"),
    "lesson with suffix": (
        entry(0, lesson="book/2-learning/steps.ipynb"),
        "000-rule: lesson must match",
    ),
    "id twice": (entry(1, id="000-rule", source="000"), "000-rule: the id is used 2 times"),
    "no sentence": (
        entry(0, correction="Steps go down"),
        "000-rule: correction must end as a sentence",
    ),
    "crashing claim": (
        entry(1, verdict="crashes"),
        "001-advice: only a listing crashes, this is a claim",
    ),
    "box as text": (entry(0, box="no"), "000-rule: box must be true or false, got 'no'"),
    "entry is a text": (whole("claims", ["x"]), "entry 1: expected a mapping, got str"),
    "claims are a mapping": (whole("claims", {}), "claims must be a list, got dict"),
    "extra key": (
        whole("boxes", []),
        "expected the keys claims and sources, got ['boxes', 'claims', 'sources']",
    ),
    "sources are a list": (
        whole("sources", []),
        "sources must map numbers to title and theme, got list",
    ),
    "source without theme": (
        whole("sources", {"000": {"title": "A"}}),
        "source '000': expected the texts title and theme",
    ),
    "unquoted number": (
        whole("sources", {7: {"title": "A", "theme": "B"}}),
        "source 7: expected a quoted number",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_by_name(name: str) -> None:
    change, complaint = BROKEN[name]
    document = copy.deepcopy(GOOD)
    change(document)
    with pytest.raises(claims.ClaimsError) as caught:
        claims.parse(write(document))
    assert any(problem.startswith(complaint) for problem in caught.value.problems), (
        caught.value.problems
    )


def test_what_is_no_yaml_or_no_mapping_is_refused() -> None:
    with pytest.raises(claims.ClaimsError, match="not YAML"):
        claims.parse("a: [")
    with pytest.raises(claims.ClaimsError, match="expected the keys claims and sources, got None"):
        claims.parse("")


# --- Evidence ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            "def test_down",
            "def test_up",
            "000-rule: the test tests/test_steps.py::test_down does not exist",
        ),
        (
            '@pytest.mark.claim("000-rule")\n',
            "",
            "000-rule: tests/test_steps.py::test_down lacks @pytest.mark.claim('000-rule')",
        ),
        (
            '"000-rule"',
            '"000-other"',
            "tests/test_steps.py::test_down: marked with the unknown claim 000-other",
        ),
        (
            "def helper",
            '@pytest.mark.claim("001-advice")\ndef test_more',
            "tests/test_steps.py::test_more: marked with 001-advice, "
            "whose evidence does not name it",
        ),
        (
            '@pytest.mark.claim("000-rule")',
            '@pytest.mark.xfail\n@pytest.mark.claim("000-rule")',
            "000-rule: tests/test_steps.py::test_down is marked as skipped or failing",
        ),
        (
            '@pytest.mark.claim("000-rule")',
            '@pytest.mark.skipif(True, reason="no")\n@pytest.mark.claim("000-rule")',
            "000-rule: tests/test_steps.py::test_down is marked as skipped or failing",
        ),
    ],
)
def test_broken_evidence_is_found(old: str, new: str, complaint: str) -> None:
    assert old in TESTS
    tests = claims.marked_tests(TESTS.replace(old, new), "tests/test_steps.py")
    assert complaint in claims.evidence_problems(good(), tests, KEYS)


def test_an_unknown_citation_is_found() -> None:
    tests = claims.marked_tests(TESTS, "tests/test_steps.py")
    problems = claims.evidence_problems(good(), tests, {"euler1768"})
    assert problems == [
        f"{name}: cauchy1847 is not in {claims.BIBLIOGRAPHY}" for name in ("000-rule", "001-advice")
    ]


def test_methods_and_stacked_marks_are_read() -> None:
    """Oracle: the names pytest gives to these tests."""
    source = TESTS + (
        '\n@pytest.mark.claim("000-a")\n@pytest.mark.claim("000-b")\nclass TestAll:\n'
        '    @pytest.mark.claim("000-c")\n    def test_one(self): ...\n'
        "    def helper(self): ...\n"
    )
    tests = claims.marked_tests(source, "tests/t.py")
    assert set(tests) == {
        "tests/t.py::test_down",
        "tests/t.py::TestSteps::test_inside",
        "tests/t.py::TestAll::test_one",
    }
    assert tests["tests/t.py::TestAll::test_one"].claims == {"000-a", "000-b", "000-c"}


def test_bibliography_keys() -> None:
    text = "@book{a1,\n title = {@article{no,}}\n}\n\n@article { b2 ,\n year = 1\n}\n% @misc{c3,\n"
    assert claims.bibliography_keys(text) == {"a1", "b2"}


# --- What is written -----------------------------------------------------------------------------

NOTEBOOK: dict[str, Any] = {
    "cells": [
        {
            "cell_type": "code",
            "id": "a",
            "metadata": {},
            "source": ["# no title\n", "1"],
            "outputs": [],
        },
        {
            "cell_type": "markdown",
            "id": "b",
            "metadata": {},
            "source": ["# Steps\n", "\n", "Text."],
        },
        {"cell_type": "markdown", "id": "c", "metadata": {"tags": ["claims"]}, "source": "old"},
    ],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}
LESSON = "book/2-learning/steps"


def notebook(**changes: Any) -> str:
    return json.dumps(NOTEBOOK | changes, indent=1, sort_keys=True) + "\n"


def test_the_box_reads_as_markdown_and_as_one_directive() -> None:
    """Oracle: the text, read by MyST's own parser."""
    box = claims.box(good().claims, "../9-back/sources.md")
    directives = parse(box).directives
    assert [(d.name, d.argument) for d in directives] == [("admonition", "From the sources")]
    assert directives[0].options == {"class": "from-the-sources"}
    link = "[evidence](../9-back/sources.md#claim-000-rule)"
    assert f"- Source 000: *Steps go up.* **Wrong.** Steps go down. ({link})\n" in box
    assert "They end at" not in box
    assert "Small steps" not in box
    assert (
        "One smaller point stands only on the [page about the sources](../9-back/sources.md)."
        in box
    )


def test_a_box_without_rest_does_not_mention_one() -> None:
    assert "smaller point" not in claims.box(good().claims[:1], "page.md")
    three = [*good().claims, good().claims[1], good().claims[1]]
    assert "3 smaller points stand" in claims.box(three, "page.md")


def test_the_page_counts_and_lists_all() -> None:
    text = claims.entries(good(), {LESSON: "Steps"})
    assert "| wrong | A proof, a measurement or the record contradicts it. | 1 |" in text
    assert "| crashes | The listing stops with an error as printed. We say why. | 0 |" in text
    assert "| all | | 2 |" in text
    headings = [heading.text for heading in parse(text).headings]
    assert headings == [
        "The verdicts",
        "Source 000: On weights",
        "Claim 000-rule",
        "Source 001: On steps",
        "Claim 001-advice",
    ]
    assert "They end at $x = 0$." in text
    assert "\n- `tests/test_steps.py::test_down`\n- {cite:t}`cauchy1847`\n" in text
    assert "lesson [Steps](../2-learning/steps.ipynb)" in text


def test_a_source_without_entries_says_so() -> None:
    document = copy.deepcopy(GOOD)
    del document["claims"][1]
    text = claims.entries(claims.parse(write(document)), {LESSON: "Steps"})
    assert "It counts them.\n\nNo entry yet" in text


def test_the_page_keeps_what_stands_above_its_marker() -> None:
    page = f"# Sources\n\nBy hand.\n\n{claims.START}\n\nold\n"
    new = claims.page_with(page, "new\n")
    assert new == f"# Sources\n\nBy hand.\n\n{claims.START}\n\nnew\n"
    assert claims.page_with(new, "new\n") == new
    for wrong in ("# Sources\n", page + page):
        with pytest.raises(claims.ClaimsError, match="needs this line once"):
            claims.page_with(wrong, "new\n")


def test_the_notebook_changes_in_its_cell_alone() -> None:
    before = notebook()
    after = claims.notebook_with(before, "steps.ipynb", "one\ntwo")
    changed = json.loads(after)
    assert changed["cells"][2]["source"] == ["one\n", "two"]
    changed["cells"][2]["source"] = "old"
    assert changed == json.loads(before)
    assert claims.notebook_with(after, "steps.ipynb", "one\ntwo") == after
    # A notebook that is laid out differently but says the same is left as it is.
    compact = json.dumps(json.loads(after))
    assert claims.notebook_with(compact, "steps.ipynb", "one\ntwo") == compact


@pytest.mark.parametrize(
    "cells", [NOTEBOOK["cells"][:2], [*NOTEBOOK["cells"], NOTEBOOK["cells"][2]]]
)
def test_a_notebook_needs_one_cell_for_the_box(cells: list[Any]) -> None:
    with pytest.raises(
        claims.ClaimsError, match=r"steps\.ipynb: needs one Markdown cell tagged claims, has [02]"
    ):
        claims.notebook_with(notebook(cells=cells), "steps.ipynb", "text")


def test_lessons_are_compared_both_ways() -> None:
    assert claims.lesson_problems(good(), {LESSON: notebook()}, TOC) == []
    assert claims.lesson_problems(good(), {}, TOC) == [
        f"{LESSON}.ipynb: has claims but does not exist"
    ]
    assert claims.lesson_problems(good(), {LESSON: notebook(cells=[])}, TOC) == [
        f"{LESSON}.ipynb: has no title"
    ]
    assert claims.lesson_problems(good(), {LESSON: notebook()}, "root: book/index\n") == [
        f"{LESSON}: has claims but is not in {claims.TOC}"
    ]
    both = {LESSON: notebook(), "book/2-learning/other": notebook()}
    assert claims.lesson_problems(good(), both, TOC) == [
        "book/2-learning/other.ipynb: has a cell tagged claims, "
        f"but {claims.CLAIMS} has none for it"
    ]
    document = copy.deepcopy(GOOD)
    document["claims"][0]["box"] = False
    assert claims.lesson_problems(claims.parse(write(document)), {LESSON: notebook()}, TOC) == [
        f"{LESSON}: all its claims have box: false, so its box would be empty"
    ]


# --- The command ---------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with one lesson, whose derived files are not yet written."""
    files = {
        claims.CLAIMS: write(GOOD),
        claims.PAGE: f"# Sources\n\n{claims.START}\n",
        claims.BIBLIOGRAPHY: "@article{cauchy1847,\n}\n",
        claims.TOC: TOC,
        f"{LESSON}.ipynb": notebook(),
        "book/2-learning/.ipynb_checkpoints/steps.ipynb": notebook(),
        "tests/test_steps.py": TESTS,
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_check_names_stale_files_and_writes_nothing(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {
        path: path.read_text(encoding="utf-8") for path in repository.rglob("*.*") if path.is_file()
    }
    assert claims.main(["--check"], repository) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{claims.PAGE}: stale, run make claims",
        f"{LESSON}.ipynb: stale, run make claims",
    ]
    assert all(path.read_text(encoding="utf-8") == text for path, text in before.items())


def test_writing_makes_the_check_pass(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert claims.main([], repository) == 0
    assert capsys.readouterr().out.splitlines() == [f"wrote {claims.PAGE}", f"wrote {LESSON}.ipynb"]
    assert claims.main(["--check"], repository) == 0
    assert claims.main([], repository) == 0
    assert capsys.readouterr() == ("", "")
    assert [path.name for path in page_paths(repository)].count("steps.ipynb") == 1


def test_a_change_by_hand_is_stale(repository: Path) -> None:
    claims.main([], repository)
    lesson = repository / f"{LESSON}.ipynb"
    lesson.write_text(
        lesson.read_text(encoding="utf-8").replace("Steps go down", "Steps go up"), encoding="utf-8"
    )
    assert claims.main(["--check"], repository) == 1
    page = repository / claims.PAGE
    claims.main([], repository)
    page.write_text(page.read_text(encoding="utf-8") + "\nmore\n", encoding="utf-8")
    assert claims.main(["--check"], repository) == 1


def test_a_broken_file_is_reported_and_nothing_is_written(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = copy.deepcopy(GOOD)
    document["claims"][1]["evidence"] = {}
    (repository / claims.CLAIMS).write_text(write(document), encoding="utf-8")
    page = (repository / claims.PAGE).read_text(encoding="utf-8")
    assert claims.main([], repository) == 1
    assert capsys.readouterr().err == f"{claims.CLAIMS} was not used:\n001-advice: no evidence\n"
    assert (repository / claims.PAGE).read_text(encoding="utf-8") == page


def test_a_missing_lesson_does_not_hold_up_the_others(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / f"{LESSON}.ipynb").unlink()
    assert claims.main([], repository) == 1
    captured = capsys.readouterr()
    assert captured.out == f"wrote {claims.PAGE}\n"
    assert captured.err == f"{LESSON}.ipynb: has claims but does not exist\n"
