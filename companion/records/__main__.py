"""``python -m companion.records [NAME ...]``: do these runs, or all, and store their results."""

from __future__ import annotations

import argparse

from companion.records import RUNS, record


def main(arguments: list[str] | None = None) -> None:
    """Do the runs named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m companion.records", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(RUNS) or "no runs yet")
    names = parser.parse_args(arguments).names
    unknown = [name for name in names if name not in RUNS]
    if unknown:
        parser.error(f"no such run: {', '.join(unknown)}; there are: {', '.join(RUNS)}")
    for name in names or RUNS:
        print(f"{name}: running, this takes minutes", flush=True)
        print(f"{name}: {record(name)}")


if __name__ == "__main__":
    main()
