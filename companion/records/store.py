"""What a stored result holds, and how it is made and read."""

from __future__ import annotations

import datetime
import json
import time
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from companion._validation import choice
from companion.records.runs import RUNS

FOLDER = Path(__file__).parent
PACKAGES = ("numpy", "scipy", "torch")


@dataclass(frozen=True)
class Record:
    """A stored result.

    Attributes
    ----------
    name : str
    command : str
        What made it, run in the repository's root.
    date : str
        Day of the run, ISO 8601.
    seconds : float
        Wall-clock time that it took.
    settings : dict
        Arguments of the function.
    results : dict
        What the function returned.
    versions : dict of str to str
        Of the packages that it computed with.
    """

    name: str
    command: str
    date: str
    seconds: float
    settings: dict[str, Any]
    results: dict[str, Any]
    versions: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return where it comes from, in one line."""
        minutes = max(1, round(self.seconds / 60))
        return f"stored on {self.date} by `{self.command}`, a run of {minutes} min"


def record(name: str, *, folder: Path | None = None) -> Record:
    """Do the full run, store its result, and return it.

    Parameters
    ----------
    name : str
        One of ``RUNS``.
    folder : Path, optional
        Where the file goes; without it, beside this module.

    Returns
    -------
    Record

    Raises
    ------
    ValueError
        If there is no such run.
    """
    run = RUNS[choice("name", name, RUNS)]
    start = time.perf_counter()
    results = run(run.full)
    made = Record(
        name=name,
        command=f"python -m companion.records {name}",
        date=datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        seconds=round(time.perf_counter() - start, 1),
        settings=run.full,
        results=results,
        versions={package: version(package) for package in PACKAGES},
    )
    text = json.dumps(asdict(made), indent=1, allow_nan=False)
    ((folder or FOLDER) / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    return load(name, folder=folder)


def load(name: str, *, folder: Path | None = None) -> Record:
    """Return a stored result.

    Parameters
    ----------
    name : str
        One of ``RUNS``.
    folder : Path, optional
        Where the file is; without it, beside this module.

    Returns
    -------
    Record
        With the settings and results as JSON gives them back: tuples are lists.

    Raises
    ------
    ValueError
        If there is no such run.
    FileNotFoundError
        If it has not been done yet: the message says how.
    """
    path = (folder or FOLDER) / f"{choice('name', name, RUNS)}.json"
    if not path.exists():
        raise FileNotFoundError(
            f"no result of {name!r} is stored: run `python -m companion.records {name}`"
        )
    return Record(**json.loads(path.read_text(encoding="utf-8")))
