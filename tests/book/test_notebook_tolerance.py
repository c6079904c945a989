"""The nbval hook, checked: alone, and in one real run of nbval over a notebook of good and bad
cells."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tests.book.tiny import figure, glued, stream
from tests.notebook_tolerance import (
    IGNORE_TAG,
    NUMBER,
    STARTS,
    Tolerance,
    ToleranceError,
    numbers_in,
    reconcile,
    value_of,
    without_drawings,
)

ROOT = Path(__file__).resolve().parents[2]


# --- Numbers with a tolerance ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("loss 0.25, accuracy 97.2%", ["0.25", "97.2"]),
        ("float64 x2 fig-1", ["1"]),
        ("(1,797, 64)", ["1,797", "64"]),
        ("[1,2,3]", ["1", "2", "3"]),
        ("-1.5e-05 +3 .5 2. 1E3", ["-1.5e-05", "+3", ".5", "2.", "1E3"]),
        ("10-12 and a-5", ["10", "12", "5"]),
        ("0.5s 3x", ["0.5", "3"]),
        ("\u22123.5", ["\u22123.5"]),
        ("nan inf", []),
    ],
)
def test_numbers_are_found_as_a_reader_finds_them(text: str, numbers: list[str]) -> None:
    assert NUMBER.findall(text) == numbers


@given(st.floats(-1e6, 1e6), st.floats(0, 0.2), st.floats(0, 10), st.floats(-1, 1))
def test_a_number_passes_exactly_when_it_is_within_the_tolerance(
    x: float, rel: float, absolute: float, shift: float
) -> None:
    tolerance = Tolerance(rel, absolute)
    stored, computed = f"{x:.12e}", f"{x + shift:.12e}"
    room = absolute + rel * abs(float(stored))
    distance = abs(float(computed) - float(stored))
    if abs(distance - room) <= 1e-6 * room:
        return
    text, complaints = reconcile(f"a {stored} b", f"a {computed} b", tolerance)
    assert (complaints == []) == (distance <= room)
    assert text == (f"a {stored} b" if distance <= room else f"a {computed} b")


@pytest.mark.parametrize(
    ("stored", "computed", "tolerance"),
    [
        ("loss 0.731", "loss 0.7315", Tolerance(rel=1e-3)),
        ("[ 0.001  2.5]", "[-0.001  2.5]", Tolerance(abs=0.01)),
        ("  99.9 %", " 100.1 %", Tolerance(rel=0.01)),
        ("12 of 360 wrong", "13 of 360 wrong", Tolerance(abs=1)),
        ("0.3", "0.1", Tolerance(abs=0.2)),
        ("1.0", "1", Tolerance(rel=1e-3)),
    ],
)
def test_numbers_within_the_tolerance_agree(
    stored: str, computed: str, tolerance: Tolerance
) -> None:
    assert reconcile(stored, computed, tolerance) == (stored, [])


@pytest.mark.parametrize(
    ("stored", "computed", "tolerance", "complaints"),
    [
        ("loss 0.731", "loss 0.751", Tolerance(rel=1e-3), 1),
        ("1000 digits", "1001 digits", Tolerance(rel=0.1), 1),  # a count does not move by rel
        ("loss 0.731", "cost 0.731", Tolerance(rel=1e-3), 0),
        ("loss 0.731", "loss nan", Tolerance(rel=1e-3), 0),
        ("loss 0.731", "loss 0.731 0.2", Tolerance(rel=1e-3), 0),
        ("0.1\n0.2", "0.1 0.2", Tolerance(rel=1e-3), 0),
    ],
)
def test_anything_else_does_not_agree(
    stored: str, computed: str, tolerance: Tolerance, complaints: int
) -> None:
    text, found = reconcile(stored, computed, tolerance)
    assert text == computed
    assert len(found) == complaints


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"rel": 1e-3, "relative": 1}, "got 'relative'"),
        ({"rel": 0}, "'rel' must be positive"),
        ({"rel": 0, "abs": 0}, "must be positive"),
        ({"rel": -1e-3}, "'rel' must be positive"),
        ({"rel": 1e-3, "abs": -1}, "'abs' must be positive"),
        ({"rel": float("nan")}, "'rel' must be positive and finite"),
        ({"abs": float("inf")}, "'abs' must be positive and finite"),
        ({"rel": "1e-3"}, "'rel' must be a number, got '1e-3'"),
        ({"rel": True}, "'rel' must be a number"),
        ({"rel": 0.21}, "'rel' must not exceed 0.2, got 0.21"),
        ({}, "must map 'rel' and/or 'abs'"),
        (1e-3, "must map 'rel' and/or 'abs'"),
    ],
)
def test_a_useless_tolerance_is_refused(value: object, complaint: str) -> None:
    with pytest.raises(ToleranceError, match=re.escape(complaint)):
        Tolerance.from_metadata(value)


def test_a_usable_tolerance_is_read() -> None:
    assert Tolerance.from_metadata({"rel": 1e-3, "abs": 0}) == Tolerance(rel=1e-3)
    assert Tolerance.from_metadata({"abs": 2}) == Tolerance(abs=2)


@pytest.mark.parametrize(
    ("numbers", "vacuous"),
    [
        (["0.5", "0.6", "0.001"], False),
        (["0.5", "0.01", "0.001"], True),
        (["0.0", "0.000"], False),
        (["1e-9"], True),
        (["12", "360"], False),
    ],
)
def test_a_tolerance_that_lets_most_numbers_go_is_vacuous(
    numbers: list[str], vacuous: bool
) -> None:
    assert Tolerance(abs=0.01).is_vacuous(numbers) is vacuous


def test_values_and_drawings() -> None:
    assert value_of("\u22121,234.5e1") == -12345.0
    assert (
        without_drawings("a <svg width='3'>\n<g>1</g></svg> b <SVG/></SVG >")
        == "a <svg></svg> b <svg></svg>"
    )
    shown = [
        stream("0.5"),
        glued("k", "'0.25'"),
        figure(),
        new_output("display_data", {"text/html": "<svg>9</svg><b>7</b>"}),
    ]
    assert numbers_in(shown) == ["0.5", "0.25", "7"]


# --- The hook, in a real run of nbval -------------------------------------------------------------


def cell(source: str, *shown: object, **metadata: object) -> nbformat.NotebookNode:
    """Return an executed code cell."""
    return new_code_cell(source, outputs=list(shown), metadata=metadata, execution_count=1)


def displayed(**data: str) -> object:
    """Return what ``display(bundle, raw=True)`` leaves; an underscore stands for a slash."""
    return new_output("display_data", {key.replace("_", "/"): text for key, text in data.items()})


def show(mime: str, text: str) -> str:
    return f"from IPython.display import display\ndisplay({{{mime!r}: {text!r}}}, raw=True)"


TIMING = "from time import perf_counter\n"
SECOND_TIME = "globals().setdefault('runs', []).append(1); print(len(runs))  # timer"
SVG = "image/svg+xml"
GLUE = "from myst_nb import glue\n"
WITHIN, OUTSIDE = {"rel": 1e-3}, {"rel": 1e-4}

# The cells of one notebook, each with what nbval must say about it (None: it passes).
CELLS: dict[str, tuple[nbformat.NotebookNode, str | None]] = {
    "same": (cell("print(0.5)", stream("0.5\n")), None),
    "changed number": (cell("print(0.501)", stream("0.5\n")), "Cell outputs differ"),
    "within": (cell("print('loss', 0.7312)", stream("loss 0.7315\n"), tolerance=WITHIN), None),
    "outside": (
        cell("print('loss', 0.732)", stream("loss 0.735\n"), tolerance=OUTSIDE),
        "stdout: number 1: stored 0.735, computed 0.732; they differ by 0.003, allowed is 7.35e-05 "
        "(tolerance rel 0.0001, abs 0)",
    ),
    "other words": (
        cell("print('cost', 0.7312)", stream("loss 0.7315\n"), tolerance=WITHIN),
        "Cell outputs differ",
    ),
    "within, a result": (
        cell(
            "import numpy as np\nnp.array([0.7312, -1.0])",
            new_output(
                "execute_result", {"text/plain": "array([ 0.7315, -1.    ])"}, execution_count=1
            ),
            tolerance=WITHIN,
        ),
        None,
    ),
    "within, html": (
        cell(
            show("text/html", "<b>0.7312</b>"),
            displayed(text_html="<b>0.7315</b>"),
            tolerance=WITHIN,
        ),
        None,
    ),
    "outside, html": (
        cell(
            show("text/html", "<b>0.7312</b>"),
            displayed(text_html="<b>0.7315</b>"),
            tolerance=OUTSIDE,
        ),
        "text/html: number 1: stored 0.7315, computed 0.7312",
    ),
    "within, glued": (
        cell(GLUE + "glue('k', '0.7312', display=False)", glued("k", "'0.7315'"), tolerance=WITHIN),
        None,
    ),
    "outside, glued": (
        cell("glue('k', '0.7312', display=False)", glued("k", "'0.7315'"), tolerance=OUTSIDE),
        "application/papermill.record/text/plain: number 1: stored 0.7315, computed 0.7312",
    ),
    "glued, no tolerance": (
        cell("glue('k', '0.7312', display=False)", glued("k", "'0.7315'")),
        "Cell outputs differ",
    ),
    "glued under another name": (
        cell("glue('j', '0.5', display=False)", glued("k", "'0.5'")),
        "glued names: stored ['k'], computed ['j']",
    ),
    "useless tolerance": (
        cell("print(0.5)", stream("0.5\n"), tolerance={"rel": 0}),
        "'rel' must be positive",
    ),
    "tolerance without number": (
        cell("print('a')", stream("a\n"), tolerance=WITHIN),
        "hold no number",
    ),
    "tolerance that is vacuous": (
        cell("print(1e-12)", stream("1e-12\n"), tolerance={"abs": 1e-6}),
        "would let most",
    ),
    "tolerance and ignored": (
        cell(
            TIMING + "print(perf_counter())", stream("1.25\n"), tolerance=WITHIN, tags=[IGNORE_TAG]
        ),
        "a tolerance or the tag nbval-ignore-output, not both",
    ),
    "timing": (cell(TIMING + "print(perf_counter())", stream("1.25\n"), tags=[IGNORE_TAG]), None),
    "timing that agrees by chance": (cell(SECOND_TIME, stream("1\n"), tags=[IGNORE_TAG]), None),
    "ignored needlessly": (
        cell("print(0.5)", stream("0.5\n"), tags=[IGNORE_TAG]),
        "ignored but need not be",
    ),
    "ignored needlessly, a drawing": (
        cell(
            show(SVG, "<svg>2</svg>"),
            new_output("display_data", {SVG: "<svg>1</svg>"}),
            tags=[IGNORE_TAG],
        ),
        "ignored but need not be",
    ),
    "other drawing": (
        cell(show(SVG, "<svg>2</svg>"), new_output("display_data", {SVG: "<svg>1</svg>"})),
        None,
    ),
    "drawing gone": (
        cell("pass", new_output("display_data", {SVG: "<svg>1</svg>"})),
        "images: stored",
    ),
    "other frame, same words": (
        cell(
            show("text/html", "<svg>2</svg><p>gain 3</p>"),
            displayed(text_html="<svg>1</svg><p>gain 3</p>"),
        ),
        None,
    ),
    "other frame in an address, same words": (
        cell(
            show("text/html", "<img src='data:image/svg+xml,%3Csvg%3E2'><p>gain 3</p>"),
            displayed(text_html="<img src='data:image/svg+xml,%3Csvg%3E1'><p>gain 3</p>"),
        ),
        None,
    ),
    "same frame, other words": (
        cell(
            show("text/html", "<svg>1</svg><p>gain 4</p>"),
            displayed(text_html="<svg>1</svg><p>gain 3</p>"),
        ),
        "Cell outputs differ",
    ),
    "silenced by a semicolon": (cell("2 + 3;"), None),
    "unexecuted": (new_code_cell("x = 1"), "holds this cell unexecuted"),
    "error": (cell("1 / 0"), "Cell execution caused an exception"),
    "announced error": (
        cell(
            "1 / 0",
            new_output("error", ename="ZeroDivisionError", evalue="division by zero"),
            tags=["raises-exception"],
        ),
        None,
    ),
    "announced error that stays away": (
        cell("x = 1", tags=["raises-exception"]),
        "the cell no longer raises",
    ),
    "skipped": (cell("x = 1", tags=["nbval-skip"]), "told to look away"),
    "ignored by a comment": (
        cell("# NBVAL_IGNORE_OUTPUT\nprint(2)", stream("1\n")),
        "told to look away",
    ),
}


def test_nbval_with_the_hook(tmp_path: Path) -> None:
    """Run nbval as `make test` does over one notebook of all the cells above."""
    notebook = new_notebook(cells=[tried for tried, _ in CELLS.values()])
    nbformat.write(notebook, tmp_path / "cells.ipynb")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    report = tmp_path / "report.xml"
    plugins = ["-p", "tests.notebook_tolerance", "-p", "no:cacheprovider"]
    nbval = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=60", "--color=no"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *nbval, f"--junitxml={report}", "cells.ipynb"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    cases = ElementTree.parse(report).findall(".//testcase")
    assert [case.get("name") for case in cases] == [f"Cell {i}" for i in range(len(CELLS))]
    wrong = []
    for i, (name, case) in enumerate(zip(CELLS, cases, strict=True)):
        expected = CELLS[name][1]
        trouble = [part.text for part in case if part.tag in ("failure", "error", "skipped")]
        said = trouble[0] if trouble else None
        if expected is None:
            right = said is None
        else:
            right = said is not None and expected in said and f"Cell {i}:" in said
        if not right:
            wrong.append(f"{name}: expected {expected}\ngot {said}")
    assert not wrong, "\n\n".join(wrong)


# A plugin for the runs below: the kernel dies as often as the environment says before it starts.
DYING = """
import os
import nbval.plugin

left = int(os.environ["DEATHS"])

class Dying(nbval.plugin.RunningKernel):
    def __init__(self, *args, **kwargs):
        global left
        left -= 1
        if left >= 0:
            raise RuntimeError("Kernel died before replying to kernel_info")
        super().__init__(*args, **kwargs)

nbval.plugin.RunningKernel = Dying
"""


@pytest.mark.parametrize(("deaths", "code"), [(STARTS - 1, 0), (STARTS, 1)])
def test_a_kernel_that_dies_at_its_start_is_started_again(
    tmp_path: Path, deaths: int, code: int
) -> None:
    """Oracle: kernels that die a known number of times; the last start is the limit."""
    nbformat.write(new_notebook(cells=[cell("print(1)", stream("1\n"))]), tmp_path / "one.ipynb")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "dying.py").write_text(DYING)
    plugins = ["-p", "tests.notebook_tolerance", "-p", "dying", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, "--nbval", "--nbval-current-env", "one.ipynb"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "DEATHS": str(deaths)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == code, run.stdout + run.stderr
    assert ("Kernel died before replying" in run.stdout) is bool(code)
