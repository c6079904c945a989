"""Write the lessons as Google Colab needs them: with a cell that fetches the package.

Colab opens a notebook from a branch on GitHub, and nothing beside it. The copies go to
``_build/colab``; the workflow ``publish`` pushes them to the branch ``colab``, where the buttons of
the website lead. The lessons themselves stay without such a cell.

Run as ``make colab REPOSITORY=https://github.com/owner/name``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OUT = Path("_build/colab")
README = """\
The lessons of the course for Google Colab, written by `make colab` from commit {commit}.

Change nothing here: the next publication replaces this branch. The lessons themselves are in
<{repository}>.
"""
# Colab has its own NumPy, PyTorch and the like. pip replaces only what is older than the package
# allows, and NumPy may be in use by then. The package stays once it is there, so that running the
# cell again, or after the restart, does not fetch it again.
GUARD = """\
# On Google Colab, this fetches the package that the lesson uses. Elsewhere it does nothing.
import importlib.util
import sys

if "google.colab" in sys.modules and importlib.util.find_spec("companion") is None:
    import importlib.metadata
    import subprocess

    packages = {packages}
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *packages], check=True)
    numpy = sys.modules.get("numpy")
    if numpy and numpy.__version__ != importlib.metadata.version("numpy"):
        print("Ready after a restart: choose Runtime, Restart session, then run the lesson.")
    else:
        print("Ready: the package of the course is installed.")
"""


def main() -> int:
    """Write all lessons, or say what is missing."""
    repository = os.environ.get("REPOSITORY", "").strip().rstrip("/").removesuffix(".git")
    if not repository.startswith("https://github.com/"):
        print(
            "Stopped: Colab opens notebooks from GitHub only. Say where yours are: "
            "make colab REPOSITORY=https://github.com/owner/name",
            file=sys.stderr,
        )
        return 1
    commit = commit_of(ROOT)
    requirements = [f"companion @ git+{repository}@{commit}", *beside_the_package(ROOT)]
    out = ROOT / OUT
    shutil.rmtree(out, ignore_errors=True)
    lessons = sorted(ROOT.glob("book/*/*.ipynb"))
    for lesson in lessons:
        target = out / lesson.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        notebook = json.loads(lesson.read_text("utf-8"))
        text = json.dumps(guarded(notebook, requirements), indent=1, ensure_ascii=False)
        target.write_text(text + "\n", encoding="utf-8")
    (out / "README.md").write_text(
        README.format(repository=repository, commit=commit), encoding="utf-8"
    )
    print(f"-- wrote {len(lessons)} lessons to {OUT}, for {repository} at {commit}")
    return 0


def guarded(notebook: Mapping[str, Any], requirements: list[str]) -> dict[str, Any]:
    """Return a notebook with the cell that installs the requirements before its own."""
    packages = json.dumps(requirements, indent=4).replace("\n", "\n    ")
    guard: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "id": "for-colab",
        "metadata": {},
        "outputs": [],
        "source": GUARD.format(packages=packages).rstrip("\n").splitlines(keepends=True),
    }
    return {**notebook, "cells": [guard, *notebook["cells"]]}


def beside_the_package(root: Path) -> list[str]:
    """Return what the lessons import that the package itself does not need and Colab lacks."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    lab: list[str] = project["optional-dependencies"]["lab"]
    return [requirement for requirement in lab if requirement.startswith("myst-nb")]


def commit_of(root: Path) -> str:
    """Return the commit that is checked out, or the branch where git cannot say it."""
    command = ["git", "rev-parse", "--verify", "--quiet", "HEAD"]
    try:
        return subprocess.run(
            command, cwd=root, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (FileNotFoundError, subprocess.CalledProcessError):
        return os.environ.get("BRANCH", "").strip() or "HEAD"


if __name__ == "__main__":
    sys.exit(main())
