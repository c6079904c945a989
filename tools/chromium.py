"""Find Chromium, or install it where that asks no questions, and say how to start it quietly.

``make chromium`` runs this as a program, and ``make test`` with it. Without apt-get, or without the
right to use it, nothing is installed, and one line says what a person can do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

#: What systems call it. The last two lie where macOS puts them, outside the search path.
NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
#: What the browser would otherwise ask of its maker's servers.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
MISSING = (
    "Chromium is missing. On Debian and Ubuntu: apt-get install chromium. On Fedora: dnf install "
    "chromium. On macOS: brew install --cask chromium. Or name another: CHROMIUM=/path/to/it"
)


def find_chromium() -> str | None:
    """Return the browser that CHROMIUM names, or the first found, if there is one that starts."""
    named = os.environ.get("CHROMIUM")
    found = map(shutil.which, [named] if named else NAMES)
    return next((path for path in found if path and _runs(path, "--version")), None)


def find_installer() -> list[str] | None:
    """Return apt-get as it can be called without a question: by root, or where sudo asks none."""
    rights = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if not shutil.which("apt-get") or (rights and not _runs(*rights, "true")):
        return None
    return [*rights, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--yes"]


def install_chromium(apt: list[str], log: Path) -> bool:
    """Install Chromium and say whether that ended well; the installer's own words go to `log`."""
    print(f"-- installing Chromium with apt-get (log: {log})", file=sys.stderr, flush=True)
    with log.open("w", encoding="utf-8") as file:
        for command in (["update"], ["install", "--no-install-recommends", "chromium"]):
            done = subprocess.run(
                [*apt, *command], stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False
            )
    return done.returncode == 0


def _runs(*command: str) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def main() -> int:
    """Print the path of the browser, after installing it if need be."""
    named, reason = os.environ.get("CHROMIUM"), MISSING
    found = find_chromium()
    if found is None and named:
        # A mistake to tell, not to work around.
        reason = f"CHROMIUM={named} does not start."
    elif found is None and (apt := find_installer()):
        log = Path(os.environ.get("VENV", ".venv")) / "chromium.log"
        if install_chromium(apt, log):
            found = find_chromium()
        else:
            reason = f"apt-get failed (its own words: {log}). {MISSING}"
    if found is None:
        print(f"Stopped: {reason}", file=sys.stderr)
        return 1
    print(f"-- Chromium: {found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
