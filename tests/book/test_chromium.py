"""Finding Chromium, and installing it where that asks no questions.

The programs of the system are scripts in a folder that is the whole search path.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import chromium

ROOT = Path(__file__).resolve().parents[2]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def bin_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "env").symlink_to("/usr/bin/env")
    (folder / "true").symlink_to("/bin/true")
    return folder


def put(folder: Path, name: str, script: str = "exit 0") -> Path:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def run(bin_dir: Path, tmp_path: Path) -> Run:
    """Return a function that runs the script as root or as another user."""

    def script(*, root: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        code = (
            "import os, sys; from tools import chromium; "
            f"os.geteuid = lambda: {0 if root else 1000}; "
            # What macOS has outside the path may be on this machine.
            "chromium.NAMES = [n for n in chromium.NAMES if '/' not in n]; "
            "sys.exit(chromium.main())"
        )
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PATH": str(bin_dir), "VENV": str(tmp_path), **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return script


def installs(bin_dir: Path) -> str:
    """Return a fake apt-get: it notes how it was called, and puts a browser into the path."""
    browser = bin_dir / "chromium"
    return (
        f'echo "$DEBIAN_FRONTEND: $*" >> {bin_dir}/calls\n'
        f'case "$*" in *install*) printf "#!/bin/sh\\n" > {browser}; /bin/chmod +x {browser};; esac'
    )


def test_the_browser_that_is_there_is_found(bin_dir: Path, run: Run) -> None:
    browser = put(bin_dir, "google-chrome")
    put(bin_dir, "apt-get", "exit 1")
    done = run()
    assert (done.returncode, done.stdout) == (0, f"-- Chromium: {browser}\n")


def test_one_that_does_not_start_is_passed_over(bin_dir: Path, run: Run) -> None:
    # As the package of Ubuntu that only says to install another.
    put(bin_dir, "chromium", "exit 1")
    browser = put(bin_dir, "google-chrome-stable")
    assert run().stdout == f"-- Chromium: {browser}\n"


def test_root_installs_it_without_questions(bin_dir: Path, run: Run) -> None:
    put(bin_dir, "apt-get", installs(bin_dir))
    done = run()
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"-- Chromium: {bin_dir / 'chromium'}\n"
    assert (bin_dir / "calls").read_text().splitlines() == [
        "noninteractive: --yes update",
        "noninteractive: --yes install --no-install-recommends chromium",
    ]


def test_another_user_installs_it_with_sudo_if_that_asks_nothing(bin_dir: Path, run: Run) -> None:
    put(bin_dir, "apt-get", installs(bin_dir))
    put(bin_dir, "sudo", f'[ "$1" = -n ] || exit 9\nshift\ntouch {bin_dir}/sudo-used\nexec "$@"')
    (bin_dir / "touch").symlink_to("/usr/bin/touch")
    done = run(root=False)
    assert done.returncode == 0, done.stderr
    assert (bin_dir / "sudo-used").exists()


@pytest.mark.parametrize(
    ("programs", "root"),
    [
        ({}, True),
        ({"dnf": "exit 9"}, True),
        ({"apt-get": "echo called >&2; exit 9"}, False),
        ({"apt-get": "echo called >&2; exit 9", "sudo": "exit 1"}, False),
    ],
    ids=["no-apt", "fedora", "no-rights", "sudo-would-ask"],
)
def test_where_it_cannot_one_line_says_what_to_do(
    bin_dir: Path, run: Run, programs: dict[str, str], root: bool
) -> None:
    for name, script in programs.items():
        put(bin_dir, name, script)
    done = run(root=root)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Stopped: {chromium.MISSING}\n"
    for remedy in ("apt-get install", "dnf install", "brew install", "CHROMIUM=/"):
        assert remedy in done.stderr


def test_apt_that_fails_is_said_with_its_log(bin_dir: Path, run: Run, tmp_path: Path) -> None:
    put(bin_dir, "apt-get", "echo no route to host; exit 100")
    done = run()
    assert done.returncode == 1
    *_, last = done.stderr.splitlines()
    assert "apt-get failed" in last
    assert "no route to host" in (tmp_path / "chromium.log").read_text()


def test_a_named_browser_that_does_not_start_is_an_error(bin_dir: Path, run: Run) -> None:
    put(bin_dir, "chromium")
    done = run(CHROMIUM="/nonexistent/chromium")
    assert done.returncode == 1
    assert done.stderr == "Stopped: CHROMIUM=/nonexistent/chromium does not start.\n"


def test_a_named_browser_comes_first(
    bin_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put(bin_dir, "chromium")
    mine = put(tmp_path, "mine")
    monkeypatch.setenv("PATH", str(bin_dir) + os.pathsep + "/bin")
    monkeypatch.setenv("CHROMIUM", str(mine))
    assert chromium.find_chromium() == str(mine)
