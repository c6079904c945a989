"""A lesson in JupyterLab: run from top to bottom, its explorer moved with a kernel behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import Page, expect

ROOT = Path(__file__).resolve().parents[2]
#: One of the lessons that take the fewest seconds to run.
LESSON = ROOT / "book" / "2-backpropagation" / "forward.ipynb"
#: For a lesson and the start of a kernel, on a machine that does other things too.
PATIENCE = 90_000


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """Start JupyterLab beside a copy of the lesson and return the address of the copy.

    It neither reads nor leaves anything in the folders where a person's Jupyter keeps its own.
    """
    work, runtime = tmp_path / "work", tmp_path / "runtime"
    work.mkdir()
    notebook = nbformat.read(LESSON, as_version=4)
    # The last words of the lesson: which Python ran it.
    notebook.cells.append(new_code_cell("import sys; print('run by', sys.prefix)"))
    nbformat.write(notebook, work / LESSON.name)
    folders = {
        "HOME": tmp_path,
        "IPYTHONDIR": tmp_path / "ipython",
        "JUPYTER_CONFIG_DIR": tmp_path / "config",
        "JUPYTER_DATA_DIR": tmp_path / "data",
        "JUPYTER_RUNTIME_DIR": runtime,
        "JUPYTERLAB_SETTINGS_DIR": tmp_path / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": tmp_path / "workspaces",
    }
    settings(
        tmp_path / "settings" / "@jupyterlab",
        # Without this only the cells in the window are in the page.
        {"notebook-extension/tracker": {"windowingMode": "none"}}
        # It would ask its maker for news.
        | {"apputils-extension/notification": {"checkForUpdates": False, "fetchNews": "false"}},
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "PYTEST"))}
    environment |= {name: str(path) for name, path in folders.items()}
    environment |= {"OMP_NUM_THREADS": "1"}
    jupyter = [sys.executable, "-m", "jupyter"]
    subprocess.run(
        [*jupyter, "trust", str(work / LESSON.name)],
        env=environment,
        check=True,
        capture_output=True,
    )
    log = tmp_path / "lab.log"
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(
            [*jupyter, "lab", "--no-browser", "--allow-root", "--port=0", f"--notebook-dir={work}"],
            env=environment,
            cwd=work,
            stdout=file,
            stderr=file,
        ) as server,
    ):
        try:
            info = started(server, runtime, log)
            yield f"{info['url']}lab/tree/{LESSON.name}?token={info['token']}"
        finally:
            server.terminate()


def settings(folder: Path, chosen: dict[str, dict[str, object]]) -> None:
    for name, values in chosen.items():
        file = folder / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values), encoding="utf-8")


def started(server: subprocess.Popen[bytes], runtime: Path, log: Path) -> dict[str, str]:
    """Wait until the server has written where it is, and return that."""
    for _ in range(600):
        for file in runtime.glob("jpserver-*.json"):
            return dict(json.loads(file.read_text(encoding="utf-8")))
        assert server.poll() is None, log.read_text(encoding="utf-8")
        time.sleep(0.1)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8')}")


def test_a_lesson_runs_and_its_explorer_moves(page: Page, lab: str) -> None:
    page.set_default_timeout(PATIENCE)
    page.goto(lab)
    status = page.locator("#jp-bottom-panel")
    expect(status).to_contain_text("Python 3 (ipykernel) | Idle", timeout=PATIENCE)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()

    cells = page.locator(".jp-Notebook .jp-CodeCell")
    last = cells.last.locator(".jp-OutputArea-output")
    expect(last).to_contain_text("run by", timeout=PATIENCE)
    # By way of a link or not, it is the environment of this test.
    assert Path(last.inner_text().strip().removeprefix("run by ")).samefile(sys.prefix)
    expect(status).to_contain_text("| Idle", timeout=PATIENCE)
    # A cell says with a number that it ran, and JupyterLab marks errors by their type.
    assert [cell.inner_text() for cell in cells.locator(".jp-InputPrompt").all()] == [
        f"[{number}]:" for number in range(1, cells.count() + 1)
    ]
    error = "[data-mime-type='application/vnd.jupyter.error']"
    assert page.locator(error).all_inner_texts() == []

    box = page.locator(".jp-OutputArea .widget-vbox:has(.widget-slider)").first
    slider, picture = box.get_by_role("slider").first, box.locator("img").first
    before = picture.get_attribute("src")
    assert before is not None
    words = box.locator("p[aria-live]").inner_text()
    slider.press("ArrowRight")
    expect(picture).not_to_have_attribute("src", before, timeout=PATIENCE)
    expect(box.locator("p[aria-live]")).not_to_have_text(words, timeout=PATIENCE)
