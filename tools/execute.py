"""Rerun notebooks from top to bottom and store their outputs in place.

Run as ``make execute``; ``make execute NOTEBOOKS=book/2-backpropagation/forward.ipynb`` takes one.
A notebook that fails keeps what it had.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

# Seconds for one cell; a whole lesson must run in 45.
CELL_TIMEOUT = 120
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
# What editors leave behind and no reader needs.
EPHEMERAL_CELL_METADATA = ("collapsed", "execution", "jupyter", "scrolled", "trusted")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class CellFailed(Exception):
    """A cell did not run to its end; the message says which one and why."""


def tidy(notebook: Any) -> None:
    """Reduce metadata to what is the same on every machine, and name the cells that have no id."""
    metadata = {key: notebook.metadata[key] for key in ("jupytext",) if key in notebook.metadata}
    notebook.metadata = nbformat.from_dict(
        {**metadata, "kernelspec": KERNEL, "language_info": {"name": "python"}}
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        if "id" not in cell:
            content = f"{number} {cell.cell_type} {cell.source}".encode()
            cell.id = hashlib.sha256(content).hexdigest()[:8]
        for key in EPHEMERAL_CELL_METADATA:
            cell.metadata.pop(key, None)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            # The view names an object of a kernel that is gone; the HTML beside it still works.
            if "text/html" in data:
                data.pop(WIDGET_VIEW, None)


def describe(cell: Any, number: int) -> str:
    """Name a cell so that it is found in the editor and in the file."""
    first_line = next((line for line in cell.source.splitlines() if line.strip()), "")
    return f"cell {number} (id {cell.id}: {first_line.strip()[:60]})"


def run_notebook(notebook: Any, folder: Path) -> None:
    """Run every cell in a fresh kernel that starts in ``folder``; outputs are stored in place."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    running = 0

    def remember(cell: Any, cell_index: int) -> None:
        nonlocal running
        running = cell_index

    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name=KERNEL["name"],
        record_timing=False,
        coalesce_streams=True,
        store_widget_state=False,
        on_cell_start=remember,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )
    try:
        client.execute()
    except CellExecutionError as error:
        reason = f"raised {error.ename}: {error.evalue}"
    except CellTimeoutError:
        reason = f"ran for more than {CELL_TIMEOUT} s"
    except DeadKernelError:
        reason = "ended the kernel"
    else:
        return
    raise CellFailed(f"{describe(notebook.cells[running], running)} {reason}")


def execute(path: Path) -> None:
    """Rerun one notebook and write it back if anything in it changed."""
    before = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(before, as_version=4)
    tidy(notebook)
    run_notebook(notebook, path.parent)
    tidy(notebook)
    nbformat.validate(notebook)
    after = nbformat.writes(notebook).rstrip("\n") + "\n"
    if after != before:
        path.write_text(after, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Rerun the notebooks named on the command line; return 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="+", type=Path)
    notebooks: list[Path] = parser.parse_args(arguments).notebooks

    # The debugger's notice about frozen modules would end up in the outputs.
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    failures = 0
    for path in notebooks:
        print(f"{path} ...", flush=True)
        start = time.perf_counter()
        try:
            execute(path)
        except CellFailed as failure:
            failures += 1
            print(f"{path}: {failure}; the file was left as it was", file=sys.stderr)
        else:
            print(f"{path} ran in {time.perf_counter() - start:.1f} s", flush=True)
    if failures:
        print(f"{failures} of {len(notebooks)} notebooks failed", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
