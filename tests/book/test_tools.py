"""The scripts behind `make execute`, `spelling`, `book` and `linkcheck`, run on small cases."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from docutils import nodes
from docutils.utils import new_document
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import build_book, execute, linkcheck, mended_theme, spelling


def write(path: Path, *cells: nbformat.NotebookNode, **metadata: object) -> Path:
    nbformat.write(new_notebook(cells=list(cells), metadata=metadata), path)
    return path


def cells_of(path: Path) -> list[nbformat.NotebookNode]:
    return nbformat.read(path, as_version=4).cells


# --- execute --------------------------------------------------------------------------------------


def test_outputs_come_from_one_run_from_top_to_bottom(tmp_path: Path) -> None:
    stale = new_code_cell(
        "x = 6 * 7\nprint('x is', x)",
        execution_count=9,
        outputs=[new_output("stream", name="stdout", text="x is 41\n")],
        metadata={"collapsed": True, "execution": {"iopub.status.busy": "then"}, "tags": ["kept"]},
    )
    last = new_code_cell("import os\nopen('here.txt').read(), os.path.exists('elsewhere.txt'), x")
    (tmp_path / "here.txt").write_text("text beside the notebook")
    path = write(
        tmp_path / "lesson.ipynb",
        new_markdown_cell("# Title"),
        stale,
        last,
        authors=[{"name": "N"}],
    )
    ids = [cell.id for cell in cells_of(path)]

    assert execute.main([str(path)]) == 0

    _, first, second = cells_of(path)
    assert [cell.id for cell in cells_of(path)] == ids
    assert [first.execution_count, second.execution_count] == [1, 2]
    assert [output.text for output in first.outputs] == ["x is 42\n"]
    assert second.outputs[0].data["text/plain"] == "('text beside the notebook', False, 42)"
    assert first.metadata == {"tags": ["kept"]}
    stored = json.loads(path.read_text())
    assert stored["metadata"] == {
        "kernelspec": {
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }
    assert (stored["nbformat"], stored["nbformat_minor"]) == (4, 5)
    assert path.read_text().endswith("}\n")


def test_a_second_run_changes_no_byte_and_does_not_touch_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "lesson.ipynb", new_code_cell("print(1)\nprint(2)"))
    execute.main([str(path)])
    before = path.read_bytes(), path.stat().st_mtime_ns
    execute.main([str(path)])
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("1 / 0", "raised ZeroDivisionError: division by zero"),
        ("import os\nos._exit(1)", "ended the kernel"),
        ("import time\ntime.sleep(60)", "ran for more than 4 s"),
    ],
)
def test_a_failing_cell_is_named_and_the_file_left_as_it_was(
    source: str,
    reason: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(execute, "CELL_TIMEOUT", 4)
    failing = new_code_cell(source)
    bad = write(tmp_path / "bad.ipynb", new_markdown_cell("# T"), new_code_cell("1"), failing)
    good = write(tmp_path / "good.ipynb", new_code_cell("'fine'"))
    before = bad.read_bytes()

    assert execute.main([str(bad), str(good)]) == 1

    said = capsys.readouterr().err
    assert f"{bad}: cell 2 (id {failing.id}: {source.splitlines()[0]}) {reason}" in said
    assert "1 of 2 notebooks failed" in said
    assert bad.read_bytes() == before
    assert cells_of(good)[0].outputs[0].data["text/plain"] == "'fine'"


def test_cells_without_an_id_get_the_same_one_every_time(tmp_path: Path) -> None:
    notebooks = []
    for _ in range(2):
        notebook = new_notebook(cells=[new_code_cell("1"), new_code_cell("1")])
        for cell in notebook.cells:
            del cell["id"]
        execute.tidy(notebook)
        notebooks.append([cell.id for cell in notebook.cells])
    assert notebooks[0] == notebooks[1]
    assert len(set(notebooks[0])) == 2


def test_a_widget_view_is_dropped_only_beside_a_form_that_outlives_the_kernel() -> None:
    view = {execute.WIDGET_VIEW: {"model_id": "1"}, "text/plain": "Box()"}
    cells = [
        new_code_cell("", outputs=[new_output("display_data", data=dict(view))]),
        new_code_cell("", outputs=[new_output("display_data", data=view | {"text/html": "<b>"})]),
    ]
    execute.tidy(new_notebook(cells=cells))
    assert execute.WIDGET_VIEW in cells[0].outputs[0].data
    assert cells[1].outputs[0].data == {"text/plain": "Box()", "text/html": "<b>"}


# --- spelling -------------------------------------------------------------------------------------


def repository(root: Path, cell: nbformat.NotebookNode, readme: str = "") -> None:
    (root / "pyproject.toml").write_text('[tool.codespell]\nskip = "*.ipynb"\n')
    (root / "README.md").write_text(readme)
    (root / "book").mkdir()
    write(root / "book" / "lesson.ipynb", cell)


# Put together here, because this file is checked for spelling too.
TYPO = "matrix".replace("t", "")


@pytest.mark.parametrize(
    ("cell", "readme", "found"),
    [
        (new_markdown_cell("the"), "the", False),
        (new_markdown_cell(f"{TYPO} product"), "", True),
        (new_code_cell(f"x = 1  # {TYPO} product"), "", True),
        (new_code_cell("1", metadata={"mystnb": {"image": {"alt": f"{TYPO} line"}}}), "", True),
        (new_code_cell("1", outputs=[new_output("stream", text=TYPO)]), "", False),
        (new_markdown_cell("the"), TYPO, True),
    ],
    ids=["none", "prose", "comment", "alternative text", "output", "page"],
)
def test_what_people_wrote_is_checked_and_outputs_are_not(
    cell: nbformat.NotebookNode,
    readme: str,
    found: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    repository(tmp_path, cell, readme)
    monkeypatch.setattr(spelling, "ROOT", tmp_path)
    assert (spelling.main() != 0) == found
    assert (f"{TYPO} ==> matrix" in capfd.readouterr().out) == found


# --- build_book -----------------------------------------------------------------------------------


@pytest.mark.parametrize("good", [True, False], ids=["good page", "page with a warning"])
def test_a_warning_leaves_no_website_that_make_would_take_for_finished(
    good: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "_config.yml").write_text("title: T\nonly_build_toc_files: true\n")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    reference = "" if good else "See {ref}`nowhere`."
    (tmp_path / "index.md").write_text(f"# Title\n\n{reference}\n")
    monkeypatch.setattr(build_book, "ROOT", tmp_path)
    monkeypatch.setattr(build_book, "BUILD", tmp_path / "_build")
    monkeypatch.setattr(build_book, "READY", tmp_path / "_build" / "ready")

    assert build_book.main() == (0 if good else 1)

    said = capfd.readouterr()
    assert (tmp_path / "_build" / "ready").exists() == good
    assert ("nowhere" in said.err) == (not good)
    assert ("Stopped: the website was not built" in said.err) == (not good)


# --- mended_theme ---------------------------------------------------------------------------------


def test_no_line_ends_between_a_number_and_its_per_cent_sign() -> None:
    inside = nodes.inline("", "", nodes.Text("28.7"))
    prose = nodes.paragraph("", "", nodes.Text("12 % of 3 and "), inside, nodes.Text(" % more"))
    code = nodes.paragraph("", "", nodes.literal("", "7 % 2"))
    block = nodes.literal_block("", "9 % 4")
    document = new_document("page")
    document += [prose, code, block]
    mended_theme.keep_together(None, document, "page")
    assert prose.astext() == "12\N{NO-BREAK SPACE}% of 3 and 28.7\N{NO-BREAK SPACE}% more"
    assert code.astext() == "7 % 2"
    assert block.astext() == "9 % 4"


# --- linkcheck ------------------------------------------------------------------------------------


def finding(uri: str, status: str, info: str = "", lineno: int = 1) -> dict[str, object]:
    """Return one line of what Sphinx writes."""
    return {
        "filename": "book/page.md",
        "lineno": lineno,
        "status": status,
        "code": 0,
        "uri": uri,
        "info": info,
    }


def test_links_that_are_gone_are_told_from_hosts_that_refuse(
    capsys: pytest.CaptureFixture[str],
) -> None:
    findings = [
        finding("https://a.org", "working"),
        finding("https://b.org/gone", "broken", "404 Client Error: Not Found", 3),
        finding("https://b.org/gone", "broken", "404 Client Error: Not Found", 9),
        finding("https://c.org/paper", "broken", "403 Client Error: Forbidden"),
        finding("notation.md", "local"),
    ]
    assert linkcheck.report(findings) == 1
    said = capsys.readouterr().out
    assert "Broken: https://b.org/gone\n    404" in said
    assert "in book/page.md:3, book/page.md:9" in said
    assert "Refused to answer a program: https://c.org/paper" in said
    assert said.endswith("-- 3 links: 1 broken, 1 that only a person can see\n")


def test_refusals_alone_are_no_failure() -> None:
    assert linkcheck.report([finding("https://c.org", "broken", "429 Too Many")]) == 0
    assert linkcheck.report([]) == 0


def test_without_a_network_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert linkcheck.report([finding("https://a.org", "broken", "Failed to resolve")]) == 1
    assert "Is there a network?" in capsys.readouterr().err
