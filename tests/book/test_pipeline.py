"""The rules of the book, checked: a good book passes, and each way of breaking it is found.

The oracle of a mutation is the rule it breaks: a complaint that names it appears, and did not
before.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from tests.book import checks
from tests.book.reading import parse
from tests.book.tiny import EXERCISES, LESSON, TinyBook, figure, glued, lesson_cells, stream


def test_the_good_book_has_no_problem(tmp_path: Path) -> None:
    assert checks.all_problems(tmp_path, TinyBook(tmp_path).write()) == []


def edit(where: str, old: str, new: str) -> Callable[[TinyBook], None]:
    """Replace text in a cell or a file."""
    return lambda book: book.replace(where, old, new)


def add(cell: Callable[[], object], after: str = "measure") -> Callable[[TinyBook], None]:
    """Insert a cell after another."""

    def mutate(book: TinyBook) -> None:
        cells = {}
        for name, old in book.cells.items():
            cells[name] = old
            if name == after:
                cells["added"] = cell()
        book.cells = cells

    return mutate


def drop(*names: str) -> Callable[[TinyBook], None]:
    """Take cells away."""

    def mutate(book: TinyBook) -> None:
        for name in names:
            del book.cells[name]

    return mutate


def outputs(where: str, *new: object) -> Callable[[TinyBook], None]:
    """Give a cell other outputs."""

    def mutate(book: TinyBook) -> None:
        book.cells[where].outputs = list(new)

    return mutate


def tag(where: str, *tags: str) -> Callable[[TinyBook], None]:
    """Give a cell other tags."""

    def mutate(book: TinyBook) -> None:
        book.cells[where].metadata["tags"] = list(tags)

    return mutate


def count(where: str, value: int | None) -> Callable[[TinyBook], None]:
    """Give a cell another execution count."""

    def mutate(book: TinyBook) -> None:
        book.late.append(lambda: setattr(book.cells[where], "execution_count", value))

    return mutate


def image(**changes: object) -> Callable[[TinyBook], None]:
    """Change the metadata of the figure."""

    def mutate(book: TinyBook) -> None:
        mystnb = book.cells["figure"].metadata["mystnb"]
        for key, value in changes.items():
            mystnb["image" if key in ("alt", "class") else "figure"][key] = value

    return mutate


def write(name: str, text: str) -> Callable[[TinyBook], None]:
    """Write a file."""

    def mutate(book: TinyBook) -> None:
        book.files[name] = text

    return mutate


def both(*mutations: Callable[[TinyBook], None]) -> Callable[[TinyBook], None]:
    """Break several things."""

    def mutate(book: TinyBook) -> None:
        for mutation in mutations:
            mutation(book)

    return mutate


def notebook_metadata(book: TinyBook) -> None:
    book.metadata["language_info"] = {"name": "python", "version": "3.11.2"}


def cell_metadata(book: TinyBook) -> None:
    book.cells["measure"].metadata["execution"] = {"iopub.status.busy": "2024-01-01T00:00:00Z"}


def old_format(book: TinyBook) -> None:
    book.nbformat_minor = 4


def same_id(book: TinyBook) -> None:
    book.late.append(lambda: setattr(book.cells["body"], "id", "cell-1"))


def stale_result(book: TinyBook) -> None:
    result = book.cells["exercise 1 part 3"].outputs[0]
    book.late.append(lambda: setattr(result, "execution_count", 99))


def glued_and_displayed(book: TinyBook) -> None:
    record = {"scrapbook": {"name": "step-loss", "mime_prefix": ""}}
    book.cells["measure"].outputs = [
        new_output("display_data", {"text/plain": "'0.731'"}, metadata=record)
    ]


def only_prose(book: TinyBook) -> None:
    book.cells = {name: cell for name, cell in book.cells.items() if cell.cell_type != "code"}


def same_label(book: TinyBook) -> None:
    book.replace("exercise 2 part 1", "ex-two", "ex-one")
    book.replace("exercise 2 part 2", "ex-two", "ex-one")


def many_timings(book: TinyBook) -> None:
    for _ in range(3):
        timing = lesson_cells()["timing"]
        book.cells = {
            f"timing {len(book.cells)}" if name == "added" else name: cell
            for name, cell in book.cells.items()
        }
        add(lambda cell=timing: cell)(book)


ERROR = new_output("error", ename="ValueError", evalue="no", traceback=[])
SIXTEEN_LINES = "\n".join(f"value_{i} = {i}" for i in range(16))
TIMER = "nbval-ignore-output"

BREAKING = {
    # Running
    "unexecuted cell": (count("measure", None), "cell 3 was not executed"),
    "cells out of order": (
        count("figure", 9),
        "cell 4 was executed out of order (count 9, expected 3)",
    ),
    "counts that do not start at one": (
        count("imports", 2),
        "cell 1 was executed out of order (count 2",
    ),
    "empty cell": (add(lambda: new_code_cell("")), "is an empty code cell"),
    "error stored": (outputs("torch", ERROR), "stores the error ValueError"),
    "error announced but absent": (tag("torch", "raises-exception"), "stores no error"),
    "warning on stderr": (outputs("torch", stream("UserWarning", "stderr")), "wrote to stderr"),
    "path of a machine": (
        outputs("torch", stream("saved /home/ada/w.npz")),
        "shows a path: '/home/ada/w.npz'",
    ),
    "path on Windows": (outputs("torch", stream("C:\\Users\\ada")), "shows a path"),
    "address of a host": (
        outputs("torch", stream("at http://10.0.0.7:80/")),
        "shows a host address",
    ),
    "address in memory": (
        outputs("torch", stream("<object at 0x7f00aa11>")),
        "shows a memory address",
    ),
    "unknown tag": (tag("measure", "nbval-skip"), "unknown tag nbval-skip"),
    "tag of code on prose": (tag("body", TIMER), "cell 2 has the unknown tag"),
    "comment that steers nbval": (
        edit("torch", "import", "# NBVAL_IGNORE_OUTPUT\nimport"),
        "steers nbval by a comment",
    ),
    "ignored without a timer": (
        tag("measure", TIMER),
        "cell 3 is tagged nbval-ignore-output but times nothing",
    ),
    "too many ignored": (many_timings, "4 cells are tagged nbval-ignore-output, at most 3"),
    "notebook metadata": (notebook_metadata, "notebook metadata are"),
    "cell metadata": (cell_metadata, "cell 3 has the metadata execution"),
    "empty prose": (add(lambda: new_markdown_cell(" ")), "cell 4 is empty"),
    "older format": (old_format, "nbformat is 4.4, expected 4.5"),
    "cell id twice": (same_id, "2 cells have the id cell-1"),
    "result of another run": (stale_result, "and its result carry different counts"),
    # Table of contents
    "missing from toc": (
        edit("_toc.yml", "      - file: book/2-learning/lesson\n", ""),
        "book/2-learning/lesson: missing from _toc.yml",
    ),
    "page missing from toc": (
        write("book/0-start/setup.md", "# Setup\n"),
        "book/0-start/setup: missing from _toc.yml",
    ),
    "toc entry that does not exist": (
        edit("_toc.yml", "/lesson", "/lessen"),
        "book/2-learning/lessen does not exist",
    ),
    "toc entry twice": (
        edit(
            "_toc.yml",
            "      - file: book/9-back/glossary",
            "      - file: book/9-back/glossary\n" * 2,
        ),
        "book/9-back/glossary is listed 2 times",
    ),
    "page and notebook of one name": (
        write("book/2-learning/lesson.md", "# Lesson\n"),
        "is both lesson.ipynb and lesson.md",
    ),
    # Headings
    "skipped heading": (edit("body", "## A step", "### A step"), "a level is skipped"),
    "second title": (edit("body", "## A step", "# A step"), "2 headings of level 1"),
    "no title": (
        edit("book/index.md", "# A book", "A book"),
        "book/index.md: 0 headings of level 1",
    ),
    "title not first": (
        edit("book/index.md", "# A book", "## About\n\n# A book"),
        "is of level 2, not the title",
    ),
    "number typed in a heading": (
        edit("body", "## A step", "## 2.1 A step"),
        "has its number typed in",
    ),
    "heading in a directive": (
        edit("exercise 1 part 1", "Take two", "#### Part\n\nTake two"),
        "'Part' is inside a directive",
    ),
    "empty heading": (edit("closing", "## Summary", "##"), "a heading is empty"),
    # Figures
    "figure without alt": (image(alt=""), "a figure without alt text"),
    "figure with short alt": (
        image(alt="A parabola and a dot on it."),
        "a figure without alt text of more than 30",
    ),
    "alt repeats the caption": (
        image(
            alt="The loss, drawn against the weight.", caption="The loss, drawn against the weight"
        ),
        "the alt text repeats the caption",
    ),
    "class of an image": (image(**{"class": "photo"}), "MyST-NB reads 'classes'"),
    "figure without caption": (image(caption=""), "a figure without caption"),
    "figure without name": (image(name=""), "the figure's name is ''"),
    "figure nobody refers to": (
        edit("body", "({numref}`fig-step`)", ""),
        "nothing in the text refers to fig-step",
    ),
    "reference to no figure": (
        edit("body", "fig-step", "fig-stop"),
        "refers to the unknown figure fig-stop",
    ),
    "two figures in a cell": (outputs("figure", figure(), figure()), "shows 2 figures"),
    "description without a figure": (outputs("figure"), "describes a figure but shows none"),
    "figure name twice": (
        add(lambda: lesson_cells()["figure"]),
        f"the figure name fig-step stands 2 times: {LESSON}, {LESSON}",
    ),
    # Code
    "long cell": (
        edit("torch", "import torch", f"import torch\n{SIXTEEN_LINES}"),
        "cell 8 has 18 lines of source",
    ),
    "magic": (edit("torch", "import torch", "%matplotlib inline"), "is not plain Python"),
    "global seed": (
        edit("measure", "print(", "np.random.seed(0)\nprint("),
        "numpy.random.seed uses global random state",
    ),
    "global draw by another name": (
        edit(
            "imports",
            "import check, steps",
            "import check, steps\nfrom numpy.random import rand\nrand(3)",
        ),
        "numpy.random.rand uses global random state",
    ),
    "random module": (
        edit("measure", "print(", "import random\nrandom.random()\nprint("),
        "random.random uses the random module",
    ),
    "generator without seed": (
        edit("measure", "print(", "rng = np.random.default_rng()\nprint("),
        "generator without a seed",
    ),
    "clear_output": (
        edit(
            "measure", "print(", "from IPython.display import clear_output\nclear_output()\nprint("
        ),
        "clear_output cannot be compared",
    ),
    # The form of a lesson
    "no opening box": (
        edit("opening", "This lesson", "The lesson"),
        "needs one admonition 'This lesson'",
    ),
    "opening without time": (edit("opening", "**Time.**", "Time."), "lacks **Time.**"),
    "opening out of order": (
        both(
            edit("opening", "**Time.**", "TMP"),
            edit("opening", "**Question.**", "**Time.**"),
            edit("opening", "TMP", "**Question.**"),
        ),
        "is out of order",
    ),
    "nothing to be able to do": (edit("opening", "- take a step,\n", ""), "lists 2 things"),
    "empty lead-in": (edit("opening", "5 minutes.", ""), "says nothing after **Time.**"),
    "title in the second cell": (
        edit("opening", "# Learning by descent", "Learning by descent"),
        "does not open with its title",
    ),
    "no summary": (edit("closing", "## Summary", "**Summary**"), "closes with the sections"),
    "sections out of order": (
        edit(
            "closing",
            "## What comes next\n\nMore steps.\n\n## References",
            "## References\n\n## What comes next",
        ),
        "closes with the sections",
    ),
    "section after the references": (
        edit("closing", "took the first.", "took the first.\n\n## More"),
        "closes with the sections",
    ),
    "no section of its own": (edit("body", "## A step", ""), "has no section of its own"),
    "no claims": (drop("claims"), "has no cell tagged claims"),
    "claims too late": (
        lambda book: book.swap("claims", "torch"),
        "must come before 'The same in PyTorch'",
    ),
    "claims that are something else": (
        edit("claims", "From the sources", "A note"),
        "is not the box 'From the sources' alone",
    ),
    "lesson without code": (only_prose, "has no code"),
    "no companion": (
        edit("imports", "from companion import check, steps", "import scipy"),
        "does not import companion",
    ),
    "imports mixed": (
        edit("imports", "from companion", "x = 1\nfrom companion"),
        "mixes imports with other statements",
    ),
    "first cell imports nothing": (
        lambda book: book.swap("imports", "measure"),
        "the first code cell is not the imports cell",
    ),
    "late import": (edit("measure", "print(", "import scipy\nprint("), "cell 3 imports scipy"),
    "torch outside its section": (
        edit("measure", "print(", "import torch\nprint("),
        "cell 3 imports torch",
    ),
    "one exercise": (
        drop(*(f"exercise 2 part {part}" for part in (1, 2, 3, 4))),
        "has 1 exercises, expected 2 to 4",
    ),
    "exercise without label": (
        edit("exercise 2 part 1", ":label: ex-two", ":class: hard"),
        "the exercise's label is ''",
    ),
    "exercise without title": (
        edit("exercise 2 part 1", "{exercise} Two steps", "{exercise}"),
        "the exercise ex-two has no title",
    ),
    "exercise label twice": (same_label, "the exercise label ex-one stands 2 times"),
    "exercise elsewhere": (
        add(lambda: new_markdown_cell(EXERCISES.partition("\n\n")[2])),
        "the exercise ex-two is outside its section",
    ),
    "exercise without second hint": (
        edit("exercise 2 part 2", "Hint 2", "Help"),
        "the exercise ex-two has the hints ['Hint 1']",
    ),
    "hints out of order": (
        edit("exercise 2 part 2", "Hint 2", "Hint 3"),
        "has the hints ['Hint 1', 'Hint 3']",
    ),
    "hint after the solution": (
        edit(
            "exercise 2 part 4",
            ":::{solution-end}\n:::",
            ":::{solution-end}\n:::\n\n:::{dropdown} Hint 3\nToo late.\n:::",
        ),
        "gives a hint after its solution",
    ),
    "exercise without solution": (
        drop("exercise 2 part 4"),
        "the exercise ex-two has no solution between",
    ),
    "solution of another exercise": (
        edit("exercise 2 part 2", "{solution-start} ex-two", "{solution-start} ex-one"),
        "the exercise ex-two is followed by the solution of ex-one",
    ),
    "solution that does not run": (drop("exercise 2 part 3"), "has a solution that does not run"),
    "solution unchecked": (
        edit("exercise 2 part 3", "check.two_steps(two_steps)", "two_steps(1)"),
        "does not call check",
    ),
    # Numbers in prose
    "bare decimal": (
        edit("body", "{glue:text}`step-loss`", "{glue:text}`step-loss`, or 0.731,"),
        "bare number 0.731",
    ),
    "bare decimal that ends a sentence": (
        edit("closing", "A step is short.", "The loss is 0.7314."),
        "bare number 0.7314",
    ),
    "bare integer": (
        edit("closing", "A step is short.", "It saw 1797 digits."),
        "bare number 1797",
    ),
    "bare integer with separator": (
        edit("closing", "A step is short.", "It saw 1,797 digits."),
        "bare number 1,797",
    ),
    "bare percentage": (
        edit("closing", "A step is short.", "The loss is 73.1% of one."),
        "bare number 73.1 %",
    ),
    "bare percentage in words": (
        edit("closing", "A step is short.", "It fell by 73.1 per cent."),
        "bare number 73.1 %",
    ),
    "bare exponent": (
        edit("closing", "A step is short.", "It takes 4.5e-5 seconds."),
        "bare number 4.5e-5",
    ),
    "bare number in a table": (
        edit("closing", "A step is short.", "| loss |\n|---|\n| 0.731 |"),
        "bare number 0.731",
    ),
    "bare number in a directive": (
        edit("claims", "two steps", "0.731 steps"),
        "cell 6 has the bare number 0.731",
    ),
    "bare number in a title": (
        edit("claims", "From the sources", "0.731"),
        "cell 6 has the bare number 0.731",
    ),
    "bare number dressed as a formula": (
        edit("closing", "A step is short.", "The loss is $0.731$."),
        "bare number 0.731",
    ),
    "bare percentage dressed as a formula": (
        edit("closing", "A step is short.", "$73.1\\%$ of it."),
        "bare number 73.1 %",
    ),
    "bare number dressed as code": (
        edit("closing", "A step is short.", "The loss is `0.731`."),
        "bare number 0.731",
    ),
    "bare number in a caption": (
        image(caption="The loss falls to 0.731."),
        "cell 4 has the bare number 0.731",
    ),
    "bare number in an alt text": (
        image(alt="A parabola with a dot at its minimum, 0.731."),
        "cell 4 has the bare number 0.731",
    ),
    "number printed in html": (
        both(
            outputs(
                "torch", new_output("display_data", {"text/html": "<td class='c9'>0.588</td>"})
            ),
            edit("closing", "A step is short.", "It is 0.588."),
        ),
        "bare number 0.588",
    ),
    "negative number": (
        both(
            outputs("torch", stream("-0.588")),
            edit("closing", "A step is short.", "It is \u22120.588."),
        ),
        "bare number 0.588",
    ),
    # Glue
    "used but not glued": (
        edit("body", "`step-loss`", "`step-lost`"),
        "step-lost is used but not glued",
    ),
    "glued but not used": (
        edit("body", "{glue:text}`step-loss`", "a bit"),
        "step-loss is glued but not used",
    ),
    "glued twice": (
        outputs("measure", glued("step-loss", "'0.7'"), glued("step-loss", "'0.8'")),
        "the glued key step-loss stands 2 times",
    ),
    "glued number": (
        outputs("measure", glued("step-loss", "0.7310585786")),
        "glues step-loss as 0.7310585786",
    ),
    "glued by another role": (edit("body", "{glue:text}", "{glue}"), "uses {glue}`step-loss`"),
    "glued with a format": (
        edit("body", "`step-loss`", "`step-loss:.2f`"),
        "expected {glue:text}`key`",
    ),
    "glued and displayed": (glued_and_displayed, "glues step-loss and displays it"),
    "glue directive": (
        edit("closing", "A step is short.", ":::{glue} step-loss\n:::"),
        "uses a glue directive",
    ),
    # Equations
    "equation without function": (
        edit("companion/steps.py", "Implements :eq:`eq-step`.", ""),
        "no docstring says 'Implements :eq:`eq-step`'",
    ),
    "equation only mentioned": (
        edit("companion/steps.py", "Implements", "Compare"),
        "no docstring says 'Implements :eq:`eq-step`'",
    ),
    "equation of the next sentence": (
        edit(
            "companion/steps.py",
            "Implements :eq:`eq-step`",
            "Implements it well. See :eq:`eq-step`",
        ),
        "no docstring says",
    ),
    "function without equation": (
        edit("body", "$$ (eq-step)", "$$"),
        "companion.steps.step: its docstring names the equation eq-step",
    ),
    "equation label twice": (
        edit("closing", "A step is short.", "$$\nx\n$$ (eq-step)"),
        "the equation label eq-step stands 2 times",
    ),
    "equation label in a directive twice": (
        edit("closing", "A step is short.", "```{math}\n:label: eq-step\nx\n```"),
        "the equation label eq-step stands 2 times",
    ),
    "reference to no equation": (
        edit("body", "{eq}`eq-step`", "{eq}`eq-stop`"),
        "refers to the unknown equation eq-stop",
    ),
    "equation label of another kind": (
        both(edit("body", "(eq-step)", "(step)"), edit("companion/steps.py", "eq-step", "step")),
        "the equation's label is 'step'",
    ),
    "equation numbered without label": (
        edit("closing", "A step is short.", "\\begin{align}\nx &= y\n\\end{align}"),
        "numbers a align",
    ),
    "formula that numbers itself": (
        edit("closing", "A step is short.", "$$\nx = y \\tag{7}\n$$"),
        "a formula numbers itself",
    ),
    # References and terms
    "citation of nothing": (
        edit("closing", "cauchy1847", "newton1687"),
        "cites newton1687, which is not in references.bib",
    ),
    "citation of nothing in a docstring": (
        edit("companion/steps.py", "Take one step.", "Take one step :cite:`newton1687`."),
        "companion.steps.step cites newton1687",
    ),
    "entry nobody cites": (
        edit(
            "book/references.bib",
            "@article",
            "@book{newton1687, author={Newton}, title={Principia}, year={1687}}\n@article",
        ),
        "newton1687 is cited nowhere",
    ),
    "entry without author": (
        edit("book/references.bib", "author = {Cauchy, Augustin},", ""),
        "cauchy1847 has no author",
    ),
    "entry without title": (
        edit("book/references.bib", "title = {Méthode générale},", ""),
        "cauchy1847 has no title",
    ),
    "entry without venue": (
        edit("book/references.bib", "journal = {Comptes Rendus},", ""),
        "cauchy1847 has no venue",
    ),
    "entry without year": (
        edit("book/references.bib", "year = {1847},", "year = {soon},"),
        "cauchy1847 has the year 'soon'",
    ),
    "entry nobody can find": (
        edit("book/references.bib", "doi = {10.1000/xyz123},", "url = {https://example.org}"),
        "neither doi nor eprint",
    ),
    "doi with its address": (
        edit("book/references.bib", "{10.1000", "{https://doi.org/10.1000"),
        "has the doi 'https",
    ),
    "eprint of no form": (
        edit("book/references.bib", "doi =", "eprint = {15.1}, doi ="),
        "has the eprint '15.1'",
    ),
    "eprint of a month that is none": (
        edit("book/references.bib", "doi =", "eprint = {1513.01234}, doi ="),
        "has the eprint '1513.01234'",
    ),
    "eprint with too few digits for its year": (
        edit("book/references.bib", "doi =", "eprint = {1501.0123}, doi ="),
        "has the eprint '1501.0123'",
    ),
    "doi with a letter that none has": (
        edit("book/references.bib", "10.1000/xyz123", "10.1000/xyz–123"),
        "has the doi '10.1000/xyz–123'",
    ),
    "address of no paper": (
        edit("closing", "A step is short.", "See [it](https://arxiv.org/abs/hep-th/97110)."),
        "names the arXiv number 'hep-th/97110'",
    ),
    "doi of no form in a docstring": (
        edit("companion/steps.py", "Take one step.", "Take one step (doi:10.1/x)."),
        "companion.steps.step names the DOI '10.1/x'",
    ),
    "isbn with a wrong digit": (
        edit("book/references.bib", "doi =", "isbn = {978-0-262-03561-2}, doi ="),
        "which is not valid",
    ),
    "entry twice": (
        edit("book/references.bib", "@article", "@book{cauchy1847, title={A}}\n@article"),
        "references.bib: repeated",
    ),
    "term not in the glossary": (
        edit("body", "`gradient`", "`slope`"),
        "uses the term 'slope', not in the glossary",
    ),
    "term twice": (
        edit("book/9-back/glossary.md", "梯度", "Gradient"),
        "the glossary term gradient stands 2 times",
    ),
}


@pytest.mark.parametrize(("mutate", "complaint"), BREAKING.values(), ids=BREAKING)
def test_a_broken_book_is_found_out(
    tmp_path: Path, mutate: Callable[[TinyBook], None], complaint: str
) -> None:
    book = TinyBook(tmp_path)
    mutate(book)
    problems = checks.all_problems(tmp_path, book.write())
    assert any(complaint in problem for problem in problems), "\n".join(
        [f"expected {complaint!r} among:", *problems]
    )


ALLOWED = {
    "printed number within a formula": edit(
        "closing", "A step is short.", "With $L = 0.731$ it is short."
    ),
    "printed number in a link": edit(
        "closing", "A step is short.", "See [there](https://example.org/0.731)."
    ),
    "printed number in a code block": edit("closing", "A step is short.", "```\n0.731\n```"),
    "printed number in a comment": edit("closing", "A step is short.", "% 0.731\n\nIt is short."),
    "number that nothing printed": edit(
        "closing", "A step is short.", "It is 0.588 of 12,345, or 17 %."
    ),
    "small integer that was printed": both(
        outputs("torch", stream("64 units")),
        edit("closing", "A step is short.", "There are 64 units."),
    ),
    "rounder percentage than the fraction printed": both(
        outputs("torch", stream("rate 0.1")),
        edit("closing", "A step is short.", "It fell by 10 %."),
    ),
    "name of a source that looks like a printed number": both(
        outputs("torch", stream("start at 0 and end at 4")),
        edit("closing", "A step is short.", "Source 000 says so, and source 004."),
    ),
    "equation at the end of a sentence before another": edit(
        "companion/steps.py",
        "Implements :eq:`eq-step`.",
        "Implements :eq:`eq-step`. Nothing else.",
    ),
    "number drawn but not printed": both(
        outputs(
            "torch",
            new_output(
                "display_data", {"text/html": "<svg><text>0.588</text></svg><p>A slider</p>"}
            ),
        ),
        edit("closing", "A step is short.", "It is 0.588."),
    ),
    "error that is announced": both(tag("torch", "raises-exception"), outputs("torch", ERROR)),
    "long cell that hides": both(
        edit("torch", "import torch", f"import torch\n{SIXTEEN_LINES}"), tag("torch", "hide-input")
    ),
    "stub before the hints": add(
        lambda: new_code_cell("check.two_steps(None)"), "exercise 1 part 1"
    ),
    "seeded generator": edit(
        "measure", "print(", "rng = np.random.default_rng(SEED)\nrng.random(3)\nprint("
    ),
    "tolerance": lambda book: book.cells["measure"].metadata.update(tolerance={"rel": 1e-3}),
    "formula without label": edit("closing", "A step is short.", "$$\nx = y\n$$"),
    "starred latex": edit("closing", "A step is short.", "\\begin{align*}\nx &= y\n\\end{align*}"),
    "two equations in one sentence": both(
        edit("closing", "A step is short.", "$$\nx = y\n$$ (eq-other)"),
        edit(
            "companion/steps.py",
            "Implements :eq:`eq-step`.",
            "Implements :eq:`eq-step` (Cauchy et al. 1847)\n    and :eq:`eq-other`.",
        ),
    ),
    "term in Chinese": edit(
        "body", "{term}`gradient`", "{term}`梯度` or {term}`slopes <gradient>`"
    ),
    "citation in a docstring": both(
        edit(
            "book/references.bib",
            "@article",
            "@book{newton1687, author={Newton}, title={Principia}, year={1987},"
            " publisher={X}, isbn={0-262-03561-8}}\n@article",
        ),
        edit("companion/steps.py", "Take one step.", "Take one step :cite:`newton1687`."),
    ),
    "citation in the claims": both(
        edit(
            "book/references.bib",
            "@article",
            "@misc{newton1687, author={Newton}, title={P}, year={1987}, howpublished={X},"
            " url={https://example.org}, note={read 2024}}\n@article",
        ),
        write(
            "book/claims.yml",
            "claims:\n  - id: c1\n    evidence: [newton1687]\n    says: See {cite:t}`cauchy1847`\n",
        ),
    ),
}


@pytest.mark.parametrize("mutate", ALLOWED.values(), ids=ALLOWED)
def test_what_is_allowed_raises_no_complaint(
    tmp_path: Path, mutate: Callable[[TinyBook], None]
) -> None:
    book = TinyBook(tmp_path)
    mutate(book)
    assert checks.all_problems(tmp_path, book.write()) == []


@pytest.mark.parametrize(
    "number",
    [
        "0704.0001",
        "1412.9999v2",
        "1501.00001",
        "2512.12345v11",
        "hep-th/9711200",
        "math.PR/0703001",
    ],
)
def test_every_form_of_arxiv_number_is_known(number: str, tmp_path: Path) -> None:
    book = TinyBook(tmp_path)
    edit(
        "closing",
        "A step is short.",
        f"See arXiv:{number}, and [it](https://arxiv.org/abs/{number}).",
    )(book)
    assert checks.all_problems(tmp_path, book.write()) == []


def test_a_directive_is_read_with_its_options_and_what_is_inside_it() -> None:
    content = parse(
        "::::{admonition} Look $x$\n---\nclass: tip\n---\nOuter 1.5.\n\n"
        ":::{exercise} Inner\n:label: ex-a\n\nText {eq}`eq-b`.\n:::\n::::"
    )
    assert [(d.name, d.argument, d.options) for d in content.directives] == [
        ("admonition", "Look $x$", {"class": "tip"}),
        ("exercise", "Inner", {"label": "ex-a"}),
    ]
    assert [role.content for role in content.roles] == ["eq-b"]
    assert "Outer 1.5." in content.prose
