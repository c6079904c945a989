"""Ask every address that the book names whether it is there. Needs the network.

Run as ``make linkcheck``, which is no part of ``make test``: what other hosts do breaks no build.
Sphinx does the asking. Here its findings are told apart: an address that is gone has to be mended;
one whose host refuses to answer a program can only be looked at by a person.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.build_book import BUILD, JUPYTER_BOOK, ROOT

# A folder of its own: Jupyter Book would write between the pages of the website.
FOLDER = BUILD / "linkcheck"
OUTPUT = FOLDER / "_build" / "html" / "output.json"
LOG = BUILD / "linkcheck.log"
#: What publishers answer to programs: not to you, or not so often.
REFUSALS = ("403", "418", "429")


def main() -> int:
    """Check, and list each address that did not answer, with the places that name it."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    print(
        "-- asking the hosts of all links, for some minutes (log: _build/linkcheck.log)", flush=True
    )
    with LOG.open("w", encoding="utf-8") as log:
        # It ends with an error when a link is broken, which is told below in order.
        subprocess.run(
            [*JUPYTER_BOOK, "build", "--builder", "linkcheck", "--path-output", str(FOLDER), "."],
            cwd=ROOT,
            stdout=log,
            stderr=log,
            check=False,
        )
    if not OUTPUT.exists():
        print(
            "Stopped: the book could not be read; _build/linkcheck.log says why.", file=sys.stderr
        )
        return 1
    return report(json.loads(line) for line in OUTPUT.read_text("utf-8").splitlines())


def report(findings: Iterable[dict[str, Any]]) -> int:
    """Print what Sphinx found; return 1 if a link is broken."""
    asked: set[str] = set()
    broken: dict[tuple[str, str], list[str]] = {}
    refused: dict[tuple[str, str], list[str]] = {}
    for found in findings:
        if not found["uri"].startswith("http"):
            continue
        asked.add(found["uri"])
        if found["status"] in ("broken", "timeout"):
            kind = refused if found["info"].startswith(REFUSALS) else broken
            place = f"{found['filename']}:{found['lineno']}"
            kind.setdefault((found["uri"], found["info"]), []).append(place)
    if asked and len({uri for uri, _ in broken}) == len(asked):
        # A list of all of them would say no more.
        print(f"Stopped: none of {len(asked)} links answered. Is there a network?", file=sys.stderr)
        return 1
    for title, kind in (("Refused to answer a program", refused), ("Broken", broken)):
        for (uri, info), places in sorted(kind.items()):
            print(f"{title}: {uri}\n    {info}\n    in {', '.join(sorted(set(places)))}")
    print(f"-- {len(asked)} links: {len(broken)} broken, {len(refused)} that only a person can see")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
