"""What the course asks of nbval beyond nbval itself; load it with ``-p``.

nbval reruns every cell and compares its outputs with the stored ones. On top of that:

- A cell whose metadata say ``"tolerance": {"rel": 1e-3, "abs": 0.01}`` (either key may be left
  out) has the numbers in its text outputs compared with ``abs + rel * |stored|``; everything
  between the numbers is compared exactly. A number written without point or exponent is a count:
  ``rel`` does not apply to it. A tolerance that is malformed, that belongs to a cell without
  numbers, or that would let almost anything pass is an error.
- A cell tagged ``nbval-ignore-output`` runs and is compared in secret. If nothing differed, the
  tag hides nothing and the cell fails.
- Drawings are not compared, because another build of FreeType draws them differently; that they
  are still there is. This covers images, and ``<svg>`` elements and ``data:`` addresses of SVGs
  within HTML. The text around them is compared.
- The names that values are glued under are compared as well as the values.
- Cells run with a history, as in Jupyter, so that a semicolon at the end silences a cell.
- A kernel that dies before its first reply is started again, and kernels have a profile folder of
  their own: two notebooks that start at the same moment do not stand in each other's way.
- Stored outputs without a run, a tag ``raises-exception`` on a cell that no longer raises, and
  any other way to make nbval look away (``nbval-skip``, the comments ``# NBVAL_...``) fail.
"""

from __future__ import annotations

import math
import os
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from nbval.plugin import IPyNbCell, IPyNbFile, coalesce_streams, find_comment_markers

IGNORE_TAG = "nbval-ignore-output"
RAISES_TAGS = frozenset({"raises-exception", "nbval-raises-exception"})
# Beyond this a "tolerance" no longer says what the number is.
LOOSEST = 0.2
# Starts of one kernel before its notebook is given up.
STARTS = 3
GLUE_PREFIX = "application/papermill.record/"
IMAGE_TYPES = ("image/svg+xml", "image/png", "image/jpeg")

# A sign counts only where no word stands before it: in "10-12" the dash is no minus. The atomic
# group keeps "0.5s" from being read as "0." and "5s".
NUMBER = re.compile(
    r"""(?<![\w.])[-+\u2212]?
        (?>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d*)?|\.\d+)
        (?>[eE][-+]?\d+)?""",
    re.VERBOSE,
)
_SVG = re.compile(r"<svg\b.*?</svg\s*>", re.DOTALL | re.IGNORECASE)
_SVG_ADDRESS = re.compile(r"data:image/svg\+xml[^\"'\s<>]*", re.IGNORECASE)
_FIGURE_REPR = re.compile(r"<Figure size [^>]*>")


class ToleranceError(ValueError):
    """The tolerance in a cell's metadata is not one that can be used."""


@dataclass(frozen=True)
class Tolerance:
    """How far a number may move, relative to the stored one and in absolute terms."""

    rel: float = 0.0
    abs: float = 0.0

    @classmethod
    def from_metadata(cls, value: object) -> Tolerance:
        """Read the ``tolerance`` entry of a cell's metadata.

        Raises
        ------
        ToleranceError
            If it is not a mapping of ``rel`` and ``abs`` to finite positive numbers, or ``rel``
            exceeds 0.2.
        """
        if not isinstance(value, Mapping) or not value:
            raise ToleranceError(f"tolerance must map 'rel' and/or 'abs' to numbers, got {value!r}")
        unknown = sorted(set(value) - {"rel", "abs"})
        if unknown:
            raise ToleranceError(
                f"tolerance knows 'rel' and 'abs', got {', '.join(map(repr, unknown))}"
            )
        for key, number in value.items():
            if isinstance(number, bool) or not isinstance(number, int | float):
                raise ToleranceError(f"tolerance {key!r} must be a number, got {number!r}")
            if not math.isfinite(number) or number < 0 or (number == 0 and not any(value.values())):
                raise ToleranceError(
                    f"tolerance {key!r} must be positive and finite, got {number!r}"
                )
        if value.get("rel", 0) > LOOSEST:
            raise ToleranceError(f"tolerance 'rel' must not exceed {LOOSEST}, got {value['rel']!r}")
        return cls(float(value.get("rel", 0)), float(value.get("abs", 0)))

    def room(self, stored: str, computed: str | None = None) -> float:
        """Return how far the number written `stored` may be from its new value."""
        is_count = _is_count(stored) and (computed is None or _is_count(computed))
        return self.abs + (0.0 if is_count else self.rel * abs(value_of(stored)))

    def is_vacuous(self, numbers: Sequence[str]) -> bool:
        """Return whether most of `numbers`, zeros aside, could move by more than a fifth."""
        sized = [number for number in numbers if value_of(number) != 0]
        loose = sum(self.room(number) > LOOSEST * abs(value_of(number)) for number in sized)
        return 2 * loose > len(sized)

    def __str__(self) -> str:
        return f"rel {self.rel:g}, abs {self.abs:g}"


def value_of(number: str) -> float:
    """Return the value of a number as `NUMBER` finds it."""
    return float(number.replace(",", "").replace("\u2212", "-"))


def _is_count(number: str) -> bool:
    return not set(".eE") & set(number)


def without_drawings(text: str) -> str:
    """Return `text` with every SVG, element or ``data:`` address, emptied."""
    return _SVG_ADDRESS.sub("data:image/svg+xml", _SVG.sub("<svg></svg>", text))


def _between(text: str) -> list[str]:
    """Return what stands between the numbers; blanks that only align a number do not count."""
    return [re.sub(r"[ \t]+", " ", part).strip(" \t") for part in NUMBER.split(text)]


def reconcile(stored: str, computed: str, tolerance: Tolerance) -> tuple[str, list[str]]:
    """Compare two texts, their numbers with a tolerance.

    Parameters
    ----------
    stored, computed : str
        The text in the notebook and the one of this run.
    tolerance : Tolerance
        How far a number may move.

    Returns
    -------
    text : str
        `stored` if the two agree, otherwise `computed`.
    complaints : list of str
        One entry for each number out of tolerance. Empty with `text` unlike `stored` if the words
        differ.
    """
    if _between(stored) != _between(computed):
        return computed, []
    complaints = []
    pairs = zip(NUMBER.findall(stored), NUMBER.findall(computed), strict=True)
    for position, (old, new) in enumerate(pairs, start=1):
        room = tolerance.room(old, new)
        distance = abs(value_of(new) - value_of(old))
        # The last digit of `room` must not decide: 0.1 + 0.2 is not 0.3 here either.
        if not distance <= room * (1 + 1e-9):
            complaints.append(
                f"number {position}: stored {old}, computed {new}; "
                f"they differ by {distance:.3g}, allowed is {room:.3g} (tolerance {tolerance})"
            )
    return (computed, complaints) if complaints else (stored, [])


def _text_slots(outputs: Sequence[Any]) -> dict[str, list[tuple[Any, str]]]:
    """Return, by kind of text, where each text of `outputs` is kept: (mapping, key)."""
    slots = defaultdict(list)
    for output in outputs:
        if output["output_type"] == "stream":
            slots[output["name"]].append((output, "text"))
        for mime, text in output.get("data", {}).items():
            if mime.removeprefix(GLUE_PREFIX).startswith("text/") and isinstance(text, str):
                slots[mime].append((output["data"], mime))
    return slots


def text_outputs(outputs: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Yield the kind and the text of every text output, drawings emptied."""
    for kind, slots in _text_slots(outputs).items():
        for place, key in slots:
            yield kind, without_drawings(place[key])


def numbers_in(outputs: Sequence[Any]) -> list[str]:
    """Return every number in the text outputs, as written."""
    texts = (_FIGURE_REPR.sub("", text) for _, text in text_outputs(outputs))
    return [number for text in texts for number in NUMBER.findall(text)]


def _glued_names(outputs: Sequence[Any]) -> list[str]:
    found = (output.get("metadata", {}).get("scrapbook", {}).get("name") for output in outputs)
    return [name for name in found if name is not None]


def _images(outputs: Sequence[Any]) -> Counter[str]:
    mimes = (mime for output in outputs for mime in output.get("data", {}))
    return Counter(mime for mime in mimes if mime.removeprefix(GLUE_PREFIX) in IMAGE_TYPES)


class CourseCell(IPyNbCell):
    """A code cell, compared as the course asks."""

    def sanitize(self, s: Any) -> Any:
        """Empty the drawings on top of what nbval sanitises."""
        s = super().sanitize(s)
        return without_drawings(s) if isinstance(s, str) else s

    def compare_outputs(
        self, test: Sequence[Any], ref: Sequence[Any], skip_compare: Any = None
    ) -> bool:
        """Compare numbers with the cell's tolerance, then leave the rest to nbval."""
        test, ref = deepcopy(list(test)), deepcopy(list(ref))
        complaints = []
        if self._tolerance is not None:
            ref_slots, test_slots = _text_slots(ref), _text_slots(test)
            for kind, slots in ref_slots.items():
                for (old, key), (new, _) in zip(slots, test_slots.get(kind, ()), strict=False):
                    old[key], new[key] = without_drawings(old[key]), without_drawings(new[key])
                    new[key], found = reconcile(old[key], new[key], self._tolerance)
                    complaints += [f"{kind}: {complaint}" for complaint in found]
        for what, names in (("glued names", _glued_names), ("images", _images)):
            if names(test) != names(ref):
                complaints.append(f"{what}: stored {names(ref)}, computed {names(test)}")
        same = super().compare_outputs(test, ref, skip_compare)
        self.comparison_traceback[:0] = complaints
        return same and not complaints

    def runtest(self) -> None:
        """Run the cell under nbval, then look at what nbval does not look at."""
        tags = set(self.cell.metadata.get("tags", []))
        if self.options["skip"] or list(find_comment_markers(self.cell.source)):
            self.raise_cell_error(
                f"nbval is told to look away; the only way is the tag {IGNORE_TAG}, for timings"
            )
        self._tolerance = None
        trouble = None
        if "tolerance" in self.cell.metadata:
            try:
                self._tolerance = self._usable_tolerance()
            except ToleranceError as error:
                # The cell runs all the same, or every later cell would fail for want of its names.
                trouble = str(error)
        super().runtest()
        if trouble is not None:
            self.raise_cell_error(trouble)
        if self.cell.execution_count is None:
            self.raise_cell_error("The stored notebook holds this cell unexecuted")
        raised = any(output["output_type"] == "error" for output in self.test_outputs)
        if tags & RAISES_TAGS and not raised:
            self.raise_cell_error("Tagged raises-exception, but the cell no longer raises")
        if not self.options["check"]:
            self._needs_ignoring()

    def _usable_tolerance(self) -> Tolerance:
        if not self.options["check"]:
            raise ToleranceError(f"a cell has a tolerance or the tag {IGNORE_TAG}, not both")
        tolerance = Tolerance.from_metadata(self.cell.metadata["tolerance"])
        numbers = numbers_in(self.cell.outputs)
        if not numbers:
            raise ToleranceError("a tolerance is given, but the stored outputs hold no number")
        if tolerance.is_vacuous(numbers):
            raise ToleranceError(
                f"tolerance {tolerance} would let most of the cell's numbers move by more than "
                f"{LOOSEST:.0%}; "
                f"the numbers are {', '.join(numbers[:6])}"
            )
        return tolerance

    def _needs_ignoring(self) -> None:
        """Fail if the outputs agree twice: one timing may agree in print by chance."""
        for attempt in range(2):
            if attempt:
                super().runtest()
            stored = coalesce_streams(deepcopy(self.cell.outputs))
            if not self.compare_outputs(self.test_outputs, stored):
                return
        self.raise_cell_error(
            f"ignored but need not be: tagged {IGNORE_TAG}, yet the outputs are the stored ones"
        )


class CourseNotebook(IPyNbFile):
    """A notebook whose cells are compared as the course asks."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        images = (prefix + mime for prefix in ("", GLUE_PREFIX) for mime in IMAGE_TYPES)
        self.skip_compare = (*self.skip_compare, *images)

    def setup(self) -> None:
        """Start the kernel, and let cells run as Jupyter runs them."""
        # Ports are chosen first and bound later; whoever takes one in between ends this kernel.
        for start in range(STARTS):
            try:
                super().setup()
            except RuntimeError:
                if start == STARTS - 1:
                    raise
            else:
                break
        client = self.kernel.kc
        execute = client.execute
        # A kernel that keeps no history does not see the semicolon at the end of a cell, and shows
        # what a reader's notebook does not. The history stays out of the user's own, though.
        off = "get_ipython().history_manager.enabled = False"
        self.kernel.await_reply(execute(off, silent=True), timeout=60)
        client.execute = lambda code, **options: execute(code, **{**options, "store_history": True})

    def collect(self) -> Iterator[CourseCell]:
        """Yield one item for each code cell."""
        for item in super().collect():
            yield CourseCell.from_parent(
                self, name=item.name, cell_num=item.cell_num, cell=item.cell, options=item.options
            )


def pytest_configure(config: pytest.Config) -> None:
    """Keep kernels apart from the user's IPython, and from those of other processes."""
    folder = tempfile.TemporaryDirectory(prefix="ipython-", ignore_cleanup_errors=True)
    config.add_cleanup(folder.cleanup)
    os.environ["IPYTHONDIR"] = folder.name


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Any:
    """Put the course's notebook in the place of nbval's."""
    collected = yield
    return [
        CourseNotebook.from_parent(parent, path=file_path) if type(found) is IPyNbFile else found
        for found in collected
    ]
