"""Write requirements.lock from pyproject.toml, and environment.yml from both.

Run as ``make lock``. Pins that still satisfy pyproject.toml stay as they are; ``make lock
UPGRADE=1`` takes the newest versions instead. pip only resolves here: nothing is installed.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK_HEADER = """\
# Every version the course is built and tested with, for all its extras. Written by `make lock`.
"""
ENVIRONMENT_HEADER = """\
# For conda and Binder: what is needed to run the lessons. Written by `make lock`; same versions
# as requirements.lock. PyTorch is conda-forge's CPU build: the one with CUDA does not fit Binder.
"""
# What `environment.yml` installs besides the package's own dependencies.
RUNNING_EXTRA = "lab"


def canonical(name: str) -> str:
    """Return a distribution's name in the form the registries compare by."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(text: str) -> dict[str, str]:
    """Return the pins of a lock file, by name."""
    lines = (line.strip() for line in text.splitlines())
    pins = (line.partition("==") for line in lines if line and not line.startswith("#"))
    return {name: version for name, _, version in pins}


def format_lock(versions: dict[str, str]) -> str:
    """Return the lock file: one pin a line, sorted, without the builds' local labels."""
    pins = sorted((canonical(name), version) for name, version in versions.items())
    # A label such as +cpu says from where the file came, and other places do not have it.
    return LOCK_HEADER + "".join(f"{name}=={version.split('+')[0]}\n" for name, version in pins)


def direct_names(project: dict[str, object], *extras: str) -> list[str]:
    """Return the names that pyproject.toml asks for, for the package and the given extras."""
    table = project["project"]
    assert isinstance(table, dict)
    requirements: list[str] = list(table["dependencies"])
    for extra in extras:
        requirements += table["optional-dependencies"][extra]
    names = {canonical(re.split(r"[^\w.-]", requirement)[0]) for requirement in requirements}
    return sorted(names - {canonical(table["name"])})


def format_environment(names: Iterable[str], pins: dict[str, str]) -> str:
    """Return environment.yml, with ``names`` under pip at the versions of the lock."""
    pip_lines = "".join(f"      - {name}=={pins[name]}\n" for name in names if name != "torch")
    return (
        f"{ENVIRONMENT_HEADER}"
        "name: matrices-and-memory\n"
        "channels:\n"
        "  - conda-forge\n"
        "dependencies:\n"
        "  - python=3.11\n"
        "  - pip\n"
        f"  - pytorch-cpu={pins['torch']}\n"
        "  - pip:\n"
        f"{pip_lines}"
        "      - -e .\n"
    )


def resolve(extras: Iterable[str], constraints: Path | None) -> dict[str, str]:
    """Return the versions pip would install into an empty environment, by name."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
    command += ["--quiet", "--disable-pip-version-check", "--report", "-"]
    if constraints is not None:
        command += ["--constraint", str(constraints)]
    command += ["--editable", f".[{','.join(extras)}]"]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    found = [entry["metadata"] for entry in json.loads(done.stdout)["install"]]
    return {entry["name"]: entry["version"] for entry in found if entry["name"] != "companion"}


def main() -> int:
    """Resolve, write both files, say what changed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    arguments = parser.parse_args()

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lock, environment = ROOT / "requirements.lock", ROOT / "environment.yml"
    old = read_lock(lock.read_text(encoding="utf-8")) if lock.exists() else {}
    try:
        versions = resolve(
            project["project"]["optional-dependencies"],
            lock if old and not arguments.upgrade else None,
        )
    except subprocess.CalledProcessError:
        print(
            "No set of versions was found (pip says why above). If it is an old pin that no longer "
            "fits, take its line out of requirements.lock, or run: make lock UPGRADE=1",
            file=sys.stderr,
        )
        return 1

    lock.write_text(format_lock(versions), encoding="utf-8")
    new = read_lock(lock.read_text(encoding="utf-8"))
    names = direct_names(project, RUNNING_EXTRA)
    environment.write_text(format_environment(names, new), encoding="utf-8")

    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            print(f"{name}: {old.get(name, 'new')} -> {new.get(name, 'gone')}")
    print(f"{lock.name} holds {len(new)} pins; {environment.name} follows it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
