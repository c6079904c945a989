"""The copies of the lessons for Google Colab: `make colab`, and the cell that it adds.

The oracles are the lesson itself, a plain kernel, and stand-ins for Colab and for pip.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from packaging.requirements import Requirement

from tools import colab

REPOSITORY = "https://github.com/someone/a-course"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a small repository with one lesson, committed."""
    root = tmp_path / "course"
    (root / "book/1-one").mkdir(parents=True)
    monkeypatch.setattr(colab, "ROOT", root)
    monkeypatch.setenv("REPOSITORY", REPOSITORY)
    (root / "pyproject.toml").write_text(
        '[project.optional-dependencies]\nlab = ["companion[torch]", "myst-nb>=1.2", "jupytext"]\n'
    )
    cells = [
        new_markdown_cell("# Eigenwerte, ½ und λ"),
        new_code_cell(
            "6 * 7",
            execution_count=1,
            outputs=[new_output("execute_result", {"text/plain": "42"}, execution_count=1)],
        ),
    ]
    nbformat.write(
        new_notebook(cells=cells, metadata={"language_info": {"name": "python"}}),
        root / "book/1-one/lesson.ipynb",
    )
    return root


def derived(root: Path) -> dict[str, object]:
    assert colab.main() == 0
    path = root / "_build/colab/book/1-one/lesson.ipynb"
    nbformat.validate(nbformat.read(path, as_version=4))
    return json.loads(path.read_text("utf-8"))


def test_the_copy_is_the_lesson_with_one_cell_before_it(root: Path) -> None:
    lesson = json.loads((root / "book/1-one/lesson.ipynb").read_text("utf-8"))
    copy = derived(root)
    assert copy["cells"][1:] == lesson["cells"]
    assert {**copy, "cells": None} == {**lesson, "cells": None}
    assert len({cell["id"] for cell in copy["cells"]}) == len(copy["cells"])


def test_what_was_there_before_is_gone(root: Path) -> None:
    old = root / "_build/colab/book/0-zero/old.ipynb"
    old.parent.mkdir(parents=True)
    old.write_text("")
    derived(root)
    assert not old.exists()


@pytest.mark.parametrize("address", ["", "https://gitlab.com/someone/a-course"])
def test_without_a_repository_on_github_it_says_what_is_missing(
    address: str, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REPOSITORY", address)
    assert colab.main() == 1
    said = capsys.readouterr().err
    assert "make colab REPOSITORY=https://github.com/" in said
    assert said.count("\n") == 1
    assert not (root / "_build").exists()


def test_in_a_plain_kernel_the_cell_does_nothing(root: Path, tmp_path: Path) -> None:
    copy = nbformat.reads(json.dumps(derived(root)), as_version=4)
    # Whatever the cell would install or print, it would say so.
    copy.cells = [copy.cells[0], new_code_cell("import sys\n'subprocess' in dir(), 'pip' in dir()")]
    NotebookClient(copy, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert copy.cells[0].outputs == []
    assert copy.cells[1].outputs[0].data["text/plain"] == "(False, False)"


def run_as_on_colab(
    root: Path, *, before: str = "import google.colab", installed: bool = False
) -> tuple[str, list]:
    """Run the cell beside a fake Colab and a fake pip: what does it say, what is pip told?"""
    fakes = root.parent / "fakes"
    told = root.parent / "told.json"
    files = {
        "google/colab/__init__.py": "",
        "pip/__init__.py": "",
        "pip/__main__.py": f"import json, sys; json.dump(sys.argv[1:], open({str(told)!r}, 'w'))",
        "numpy/__init__.py": "__version__ = '2.0.2'",
        "numpy-2.1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: numpy\nVersion: 2.1.0\n",
    }
    if installed:
        files["companion/__init__.py"] = ""
    for name, text in files.items():
        (fakes / name).parent.mkdir(parents=True, exist_ok=True)
        (fakes / name).write_text(text)
    (guard, *_) = derived(root)["cells"]
    code = "".join([f"{before}\n", *guard["source"]])
    # -S leaves out the installed packages, companion among them.
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": str(fakes)},
        cwd=root.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, json.loads(told.read_text()) if told.exists() else []


def test_on_colab_the_cell_installs_the_package_at_the_commit(root: Path) -> None:
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=One"]):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *who, *words], cwd=root, check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True)
    said, told = run_as_on_colab(root)
    assert said == "Ready: the package of the course is installed.\n"
    *command, package, beside = told
    assert command == ["install", "--quiet"]
    assert package == f"companion @ git+{REPOSITORY}@{head.stdout.strip()}"
    # Neither the pinned PyTorch nor JupyterLab, which Colab has in its own way.
    assert beside == "myst-nb>=1.2"
    assert {Requirement(package).name, Requirement(beside).name} == {"companion", "myst-nb"}


def test_without_git_the_package_comes_from_the_branch(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRANCH", "draft")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(root.parent))
    _, told = run_as_on_colab(root)
    assert told[2] == f"companion @ git+{REPOSITORY}@draft"


def test_it_asks_for_a_restart_when_numpy_is_in_use_already(root: Path) -> None:
    said, _ = run_as_on_colab(root, before="import google.colab, numpy")
    assert said.startswith("Ready after a restart")


def test_elsewhere_it_installs_nothing_even_if_the_package_is_missing(root: Path) -> None:
    assert run_as_on_colab(root, before="") == ("", [])


def test_it_installs_nothing_twice(root: Path) -> None:
    assert run_as_on_colab(root, installed=True) == ("", [])


def test_the_real_lessons_lack_nothing_that_the_cell_does_not_bring() -> None:
    """Oracle: the imports of all lessons, against the package and what is beside it."""
    root = Path(__file__).resolve().parents[2]
    assert [Requirement(r).name for r in colab.beside_the_package(root)] == ["myst-nb"]
    imported = set()
    for path in root.glob("book/*/*.ipynb"):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            for line in cell["source"] if cell["cell_type"] == "code" else []:
                words = line.split()
                if words[:1] in (["import"], ["from"]):
                    imported.add(words[1].split(".")[0])
    standard = imported & sys.stdlib_module_names
    on_colab = {"IPython", "torch"}
    with_the_package = {"matplotlib", "numpy", "scipy", "sklearn", "statsmodels", "threadpoolctl"}
    assert imported - standard <= on_colab | with_the_package | {"companion", "myst_nb"}
