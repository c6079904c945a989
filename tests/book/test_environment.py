"""What stands around the book agrees with itself: versions, commands, contents, what needs PyTorch.

The oracles are other files of the repository, the running interpreter, and make itself.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import companion
from tools import lock as locking

ROOT = Path(__file__).resolve().parents[2]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


PROJECT = tomllib.loads(text("pyproject.toml"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCK = locking.read_lock(text("requirements.lock"))
REQUIREMENTS = [
    Requirement(line)
    for line in [*PROJECT["dependencies"], *(line for lines in EXTRAS.values() for line in lines)]
    if Requirement(line).name != "companion"
]


# --- versions -------------------------------------------------------------------------------------


def test_the_lock_holds_nothing_but_sorted_exact_pins() -> None:
    lines = [line for line in text("requirements.lock").splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==\d[a-z0-9.]*", line)] == []
    names = [line.split("==")[0] for line in lines]
    assert names == sorted(set(names))


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_each_requirement_is_locked_at_a_version_it_admits(requirement: Requirement) -> None:
    version = LOCK[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version, prereleases=True)


def test_the_versions_that_run_here_are_the_locked_ones() -> None:
    installed = {
        canonicalize_name(found.metadata["Name"]): found.version
        for found in importlib.metadata.distributions()
    }
    differing = {
        name: (version, installed[name])
        for name, version in LOCK.items()
        # The build of PyTorch without CUDA has the label +cpu after the same version.
        if name in installed and installed[name].split("+")[0] != version
    }
    assert differing == {}
    assert installed.keys() >= {"numpy", "torch", "jupyter-book"}


def test_environment_yml_pins_what_running_the_lessons_takes_at_the_versions_of_the_lock() -> None:
    environment = yaml.safe_load(text("environment.yml"))
    *conda, pip = environment["dependencies"]
    pins = [line for line in pip["pip"] if not line.startswith("-e")]
    wanted = {
        canonicalize_name(Requirement(line).name)
        for line in [*PROJECT["dependencies"], *EXTRAS["lab"]]
    } - {"companion"}

    assert pins == [f"{name}=={LOCK[name]}" for name in sorted(wanted)]
    assert f"pytorch-cpu={LOCK['torch']}" in conda
    assert "-e ." in pip["pip"]


def test_the_derived_files_are_what_make_lock_would_write() -> None:
    names = locking.direct_names(tomllib.loads(text("pyproject.toml")), "lab")
    assert text("requirements.lock") == locking.format_lock(LOCK)
    assert text("environment.yml") == locking.format_environment(names, LOCK)


def test_a_lock_is_read_back_as_it_was_written_without_local_labels() -> None:
    written = locking.format_lock({"Zope_Event": "1.0", "torch": "2.13.0+cpu", "a.b": "3"})
    assert locking.read_lock(written) == {"a-b": "3", "torch": "2.13.0", "zope-event": "1.0"}
    assert written.splitlines()[-1] == "zope-event==1.0"


def test_the_version_is_the_same_wherever_it_stands() -> None:
    citation = yaml.safe_load(text("CITATION.cff"))
    assert citation["version"] == companion.__version__
    assert importlib.metadata.version("companion") == companion.__version__


# --- contents -------------------------------------------------------------------------------------


def pages_in_toc() -> list[str]:
    """Return the pages that _toc.yml names, in order."""
    return re.findall(r"^(?:root:|\s*- file:) (\S+)$", text("_toc.yml"), flags=re.MULTILINE)


def test_a_lesson_stands_beneath_the_opener_of_its_chapter() -> None:
    pages = pages_in_toc()
    chapters = {page.rsplit("/", 1)[0] for page in pages if re.match(r"book/[1-6]-", page)}
    assert chapters
    for chapter in chapters:
        inside = [page for page in pages if page.startswith(f"{chapter}/")]
        assert inside[0] == f"{chapter}/index"


# --- commands -------------------------------------------------------------------------------------


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make at the root of the repository."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_help_names_every_command_and_comes_when_nothing_is_asked_for() -> None:
    phony = set(re.search(r"^\.PHONY:(.*)$", text("Makefile"), re.MULTILINE).group(1).split())
    listed = re.findall(r"^  (\w+) ", make("help").stdout, flags=re.MULTILINE)
    assert sorted(listed) == sorted(phony)
    assert make().stdout == make("help").stdout


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "book/0-start/setup.md"])
def test_the_commands_that_the_documents_name_exist(name: str) -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", text(name), flags=re.MULTILINE))
    phony = set(re.search(r"^\.PHONY:(.*)$", text("Makefile"), re.MULTILINE).group(1).split())
    assert named
    assert named <= phony


def test_what_the_hosting_service_runs_is_the_test_command_of_the_readme() -> None:
    script = text(".ci/run")
    assert script.splitlines()[-1] == "exec make test"
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert re.search(r"^make test\b", text("README.md"), flags=re.MULTILINE)


def test_make_test_runs_every_check() -> None:
    plan = make("--dry-run", "--always-make", "test").stdout
    order = [
        # Before what takes long: without a browser the last part would fail.
        "tools/chromium.py",
        "ruff check",
        "ruff format --check",
        "mypy",
        "tools/spelling.py",
        "--doctest-modules --cov",
        "--nbval ",
        "tools/build_book.py",
        "--dist loadgroup tests/site",
    ]
    places = [plan.find(step) for step in order]
    assert -1 not in places
    assert places == sorted(places)


# --- when something is missing --------------------------------------------------------------------


def refusal(venv: Path, **environment: str) -> str:
    """Return what `make book` says when it cannot make its environment."""
    done = make("book", VENV=str(venv), **environment)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    messages = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(messages) == 1
    return messages[0]


def test_a_python_that_is_not_there_is_named(tmp_path: Path) -> None:
    message = refusal(tmp_path / "venv", PYTHON="/nonexistent/python")
    assert "PYTHON=/nonexistent/python" in message
    assert "3.11" in message


def test_a_python_that_is_too_old_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    assert "older than Python 3.11" in refusal(tmp_path / "venv", PYTHON=str(old))


def test_a_python_without_venv_is_refused_with_the_remedy(tmp_path: Path) -> None:
    # Debian ships Python without the modules venv and ensurepip.
    bare = tmp_path / "python"
    bare.write_text('#!/bin/sh\ncase "$*" in *ensurepip*) exit 1;; esac\n')
    bare.chmod(0o755)
    assert "python3-venv" in refusal(tmp_path / "venv", PYTHON=str(bare))


def test_a_full_disk_is_noticed_before_anything_is_installed(tmp_path: Path) -> None:
    message = refusal(tmp_path / "venv", MIN_FREE_MB=str(10**12))
    assert "MB are free" in message
    assert not (tmp_path / "venv").exists()


def test_a_registry_out_of_reach_is_said_in_one_line(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    message = refusal(
        venv,
        PYTHON=sys.executable,
        PIP_CONFIG_FILE=os.devnull,
        PIP_INDEX_URL="http://127.0.0.1:9/simple",
        PIP_EXTRA_INDEX_URL="",
        PIP_FIND_LINKS="",
        PIP_NO_CACHE_DIR="1",
        PIP_RETRIES="0",
    )
    assert "registry cannot be reached" in message
    assert str(venv / "install.log") in message
    assert not (venv / "ready-book").exists()


# --- PyTorch --------------------------------------------------------------------------------------


def test_the_website_asks_for_no_torch() -> None:
    asked = {Requirement(line).name for line in [*PROJECT["dependencies"], *EXTRAS["book"]]}
    assert "torch" not in asked


def test_every_module_of_the_companion_imports_without_torch() -> None:
    # A finder that refuses, and not None in sys.modules: SciPy looks there.
    without_torch = (
        "import pkgutil, sys\n"
        "class NoTorch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'torch':\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, NoTorch())\n"
    )
    script = (
        "import companion\n"
        "for module in pkgutil.walk_packages(companion.__path__, 'companion.'):\n"
        "    __import__(module.name)\n"
        "    print(module.name)\n"
    )
    done, refused = (
        subprocess.run(
            [sys.executable, "-c", without_torch + code],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        for code in (script, "import torch")
    )
    assert done.returncode == 0, done.stderr
    assert "companion.network" in done.stdout.split()
    assert "ModuleNotFoundError: torch" in refused.stderr
