"""A complete book in miniature that satisfies every rule, to be broken one rule at a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from tests.book.checks import KERNEL
from tests.book.reading import Page, load_book
from tests.notebook_tolerance import GLUE_PREFIX

LESSON = "book/2-learning/lesson.ipynb"

OPENING = """\
# Learning by descent

:::{admonition} This lesson
**Question.** How far does one step go?

**You will be able to**

- take a step,
- measure it,
- say when it is too long.

**You need first** [the notation](../0-start/notation.md).

**Time.** 5 minutes.
:::
"""
BODY = """\
## A step

$$
w' = w - \\eta g
$$ (eq-step)

By {eq}`eq-step` a {term}`gradient` moves the weight; the loss falls to {glue:text}`step-loss`
({numref}`fig-step`), with 64 weights, at a rate of $\\eta = 0.125$, see {cite:t}`cauchy1847`.
"""
CLAIMS = """\
:::{admonition} From the sources
One source takes two steps at once.
:::
"""
EXERCISES = """\
## Exercises

:::{exercise} Two steps
:label: ex-two

Take two steps.
:::
"""
HINTS = """\
:::{dropdown} Hint 1
Take one.
:::

:::{dropdown} Hint 2
Take it again.
:::

:::{solution-start} ex-two
:class: dropdown
:::
"""
SOLUTION_END = """\
:::{solution-end}
:::
"""
CLOSING = """\
## Summary

A step is short.

## What comes next

More steps.

## References

- {cite:t}`cauchy1847`, who took the first.
"""
GLOSSARY = """\
# Glossary

:::{glossary}
gradient
梯度
  The slope in every direction.
:::
"""
BIBLIOGRAPHY = """\
@article{cauchy1847,
  author = {Cauchy, Augustin},
  title = {Méthode générale},
  journal = {Comptes Rendus},
  year = {1847},
  doi = {10.1000/xyz123},
}
"""
MODULE = '''\
"""Steps."""


def step(weight, gradient, rate):
    """Take one step.

    Implements :eq:`eq-step`.
    """
    return weight - rate * gradient
'''
TOC = """\
format: jb-book
root: book/index
parts:
  - caption: Chapters
    chapters:
      - file: book/2-learning/lesson
      - file: book/9-back/glossary
"""
SVG = "<svg xmlns='http://www.w3.org/2000/svg'><path d='M 0.731 0'/></svg>"


def stream(text: str, name: str = "stdout") -> Any:
    """Return a stream output."""
    return new_output("stream", name=name, text=text)


def glued(name: str, text: str) -> Any:
    """Return what ``glue(name, text, display=False)`` leaves."""
    record = {"scrapbook": {"name": name, "mime_prefix": GLUE_PREFIX}}
    return new_output("display_data", {GLUE_PREFIX + "text/plain": text}, metadata=record)


def figure() -> Any:
    """Return a drawn figure."""
    return new_output(
        "display_data", {"image/svg+xml": SVG, "text/plain": "<Figure size 640x480 with 1 Axes>"}
    )


def exercise(name: str) -> list[Any]:
    """Return the cells of one exercise."""
    solution = "def two_steps(w):\n    return w\n\n\ncheck.two_steps(two_steps)"
    result = new_output("execute_result", {"text/plain": "Correct."}, execution_count=0)
    return [
        new_markdown_cell(EXERCISES.removeprefix("## Exercises\n\n").replace("ex-two", name)),
        new_markdown_cell(HINTS.replace("ex-two", name)),
        new_code_cell(solution, outputs=[result]),
        new_markdown_cell(SOLUTION_END),
    ]


def lesson_cells() -> dict[str, Any]:
    """Return the cells of the good lesson under names that the mutations use."""
    measure = (
        'print(f"loss {loss:.4f} of 1,797 digits")\nglue("step-loss", f"{loss:.3f}", display=False)'
    )
    figure_data = {
        "figure": {"name": "fig-step", "caption": "The loss against the weight."},
        "image": {"alt": "A parabola with a dot that moves towards its lowest point."},
    }
    cells = {
        "opening": new_markdown_cell(OPENING),
        "imports": new_code_cell(
            "import numpy as np\nfrom companion import check, steps\n\nSEED = 0"
        ),
        "body": new_markdown_cell(BODY),
        "measure": new_code_cell(
            measure,
            outputs=[stream("loss 0.7314 of 1,797 digits\n"), glued("step-loss", "'0.731'")],
        ),
        "figure": new_code_cell(
            "fig = steps.draw(loss)", metadata={"mystnb": figure_data}, outputs=[figure()]
        ),
        "timing": new_code_cell(
            "start = perf_counter()\nprint(perf_counter() - start)",
            metadata={"tags": ["nbval-ignore-output"]},
            outputs=[stream("4.5e-05\n")],
        ),
        "claims": new_markdown_cell(CLAIMS, metadata={"tags": ["claims"]}),
        "torch heading": new_markdown_cell("## The same in PyTorch"),
        "torch": new_code_cell("import torch\n\ntorch.manual_seed(SEED)"),
        "exercises": new_markdown_cell("## Exercises"),
    }
    for number, name in enumerate(("ex-one", "ex-two"), start=1):
        cells |= {
            f"exercise {number} part {part}": cell
            for part, cell in enumerate(exercise(name), start=1)
        }
    cells["closing"] = new_markdown_cell(CLOSING)
    return cells


@dataclass
class TinyBook:
    """The good book, on disk under `root` once written."""

    root: Path
    cells: dict[str, Any] = field(default_factory=lesson_cells)
    metadata: dict[str, Any] = field(
        default_factory=lambda: {"kernelspec": dict(KERNEL), "language_info": {"name": "python"}}
    )
    files: dict[str, str] = field(
        default_factory=lambda: {
            "_toc.yml": TOC,
            "book/index.md": "# A book\n\nWelcome.\n",
            "book/9-back/glossary.md": GLOSSARY,
            "book/references.bib": BIBLIOGRAPHY,
            "companion/__init__.py": "",
            "companion/steps.py": MODULE,
        }
    )
    nbformat_minor: int = 5
    # What to do to the cells once they are numbered.
    late: list[Callable[[], object]] = field(default_factory=list)

    def replace(self, where: str, old: str, new: str) -> None:
        """Replace text in a cell or a file; the text must be there."""
        text = self.files[where] if where in self.files else self.cells[where].source
        assert old in text, f"{old!r} is not in {where}"
        if where in self.files:
            self.files[where] = text.replace(old, new)
        else:
            self.cells[where].source = text.replace(old, new)

    def swap(self, first: str, second: str) -> None:
        """Let two cells change places."""
        names = list(self.cells)
        i, j = names.index(first), names.index(second)
        names[i], names[j] = names[j], names[i]
        self.cells = {name: self.cells[name] for name in names}

    def write(self) -> list[Page]:
        """Write the book and read it back."""
        for number, cell in enumerate(self.cells.values()):
            cell.id = f"cell-{number}"
        code = [cell for cell in self.cells.values() if cell.cell_type == "code"]
        for count, cell in enumerate(code, start=1):
            cell.execution_count = count
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = count
        for change in self.late:
            change()
        for name, text in self.files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        path = self.root / LESSON
        path.parent.mkdir(parents=True, exist_ok=True)
        notebook = {
            "cells": list(self.cells.values()),
            "metadata": self.metadata,
            "nbformat": 4,
            "nbformat_minor": self.nbformat_minor,
        }
        # Not by nbformat, which repairs some of what is to be found broken.
        path.write_text(json.dumps(notebook), encoding="utf-8")
        return load_book(self.root)
