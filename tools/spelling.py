"""Check the spelling of the repository with codespell, notebooks included.

codespell reads a notebook as one long JSON text, with pictures and printed numbers in it. So what
people wrote in the cells is laid out as plain files first, under the same names, and those are
checked.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def cell_sources(notebook: Path) -> str:
    """Return what people wrote in a notebook, each cell after a line with its number."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    parts = []
    for number, cell in enumerate(cells):
        # Captions and alternative texts are prose too.
        prose = json.dumps(cell["metadata"].get("mystnb", {}), ensure_ascii=False)
        parts.append(f"[cell {number}]\n{''.join(cell['source'])}\n{prose}\n")
    return "\n".join(parts)


def main() -> int:
    """Run codespell over the tree, then over the notebooks' sources."""
    codespell = [sys.executable, "-m", "codespell_lib", "--toml", str(ROOT / "pyproject.toml")]
    status = subprocess.run([*codespell, "."], cwd=ROOT, check=False).returncode
    with tempfile.TemporaryDirectory() as folder:
        for notebook in sorted(ROOT.glob("book/**/*.ipynb")):
            if ".ipynb_checkpoints" not in notebook.parts:
                copy = Path(folder, notebook.relative_to(ROOT)).with_suffix(".txt")
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(cell_sources(notebook), encoding="utf-8")
        status |= subprocess.run([*codespell, "."], cwd=folder, check=False).returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
