"""Build the website into _build/html; any warning is an error.

Run as ``make book``, which does nothing when nothing has changed, or ``make site``. The build
always starts afresh: Sphinx left to itself warns only about pages that it reads again, and keeps
pages that are gone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
# make compares the age of this file with that of the sources, and what stands in it with the
# addresses that the website is to show.
READY = BUILD / "ready"
ADDRESSES = ("REPOSITORY", "BRANCH", "SITE_URL")
# Called this way and not by its script, whose first line breaks when the folder is moved.
JUPYTER_BOOK = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]


def main() -> int:
    """Build, and say how long it took or that it failed."""
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir()
    print("-- building the website (log: _build/book.log)", flush=True)
    start = time.perf_counter()
    command = [*JUPYTER_BOOK, "build", "-W", "-n", "--keep-going", "."]
    with (BUILD / "book.log").open("w", encoding="utf-8") as log:
        done = subprocess.run(command, cwd=ROOT, stdout=log, check=False)
    if done.returncode != 0:
        print("Stopped: the website was not built; the warnings above say why.", file=sys.stderr)
        return 1
    READY.write_text(" ".join(os.environ.get(name, "") for name in ADDRESSES), encoding="utf-8")
    print(f"-- built _build/html in {time.perf_counter() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
