"""What pages of the course show of its lessons, taken from the lessons at every build.

A Sphinx extension with two directives, so that neither can go stale:

``lesson-figure``
    a figure that a lesson stores, with a caption of its own and a link to the lesson;
``course-map``
    which lesson needs which, from the line *You need first* of each.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, ClassVar

import yaml
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

# Lengths of the drawing in CSS pixels. Six columns fit the narrowest phone unscaled.
COLUMN, ROW, RADIUS, TOP = 54, 56, 15, 40
# Between parallel lines; from the middle of a circle to where a line leaves, and where one comes.
LANE, LEAVES, COMES, CORNER = 4, 10, 5, 5

Place = tuple[int, int]
# A gap between rows ("h") or left of a column ("v"), in which lines run side by side.
Gap = tuple[str, int]


def setup(app: Sphinx) -> dict[str, Any]:
    """Make the directives known."""
    app.add_directive("lesson-figure", LessonFigure)
    app.add_directive("course-map", CourseMap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


# --- a figure of a lesson -------------------------------------------------------------------------


class LessonFigure(SphinxDirective):
    """Show a stored figure: its name as the argument, the lesson as ``doc``, the caption within."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {"doc": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        _, lesson = self.env.relfn2path(self.options["doc"] + ".ipynb")
        self.env.note_dependency(lesson)
        try:
            drawing, alt = stored_figure(Path(lesson), self.arguments[0])
        except ValueError as error:
            raise self.error(str(error)) from error
        # The lesson's own page writes the same file, so that the site holds it once.
        env: Any = self.env
        folder = Path(env.mystnb_config.output_folder)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{hashlib.sha256(drawing).hexdigest()}.svg"
        file.write_bytes(drawing)
        uri = os.path.relpath(file, Path(self.env.doc2path(self.env.docname)).parent)
        # Not a figure node: it would take a number, and the lesson's figure has one already.
        figure = nodes.container(classes=["lesson-figure"])
        figure += nodes.image(uri=Path(uri).as_posix(), alt=alt)
        self.state.nested_parse(self.content, self.content_offset, figure)
        self.set_source_info(figure)
        return [figure]


def stored_figure(lesson: Path, name: str) -> tuple[bytes, str]:
    """Return the drawing that a lesson stores under a name, and its alternative text."""
    for cell in json.loads(lesson.read_text(encoding="utf-8"))["cells"]:
        options = cell["metadata"].get("mystnb", {})
        if options.get("figure", {}).get("name") != name:
            continue
        for output in cell["outputs"]:
            if drawing := "".join(output.get("data", {}).get("image/svg+xml", "")):
                return os.linesep.join(drawing.splitlines()).encode(), options["image"]["alt"]
    raise ValueError(f"{lesson.name} stores no figure {name!r}")


# --- the map --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lesson:
    """A lesson, and the lessons it builds on, as a whole or in a part of it."""

    name: str
    number: str
    title: str
    needs: tuple[str, ...]
    helped_by: tuple[str, ...]


@dataclass(frozen=True)
class Chapter:
    """A chapter and its lessons in the order of the table of contents."""

    name: str
    title: str
    lessons: tuple[Lesson, ...]


def read_chapters(root: Path) -> list[Chapter]:
    """Return the chapters that ``_toc.yml`` names, with the prerequisites of their lessons."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    chapters: list[Chapter] = []
    # Lessons are notebooks. Other pages may have sections too.
    entries = (entry for part in toc["parts"] for entry in part["chapters"])
    for entry in entries:
        sections = [section["file"] for section in entry.get("sections", [])]
        if not all((root / f"{name}.ipynb").exists() for name in sections) or not sections:
            continue
        number = len(chapters) + 1
        text = (root / f"{entry['file']}.md").read_text(encoding="utf-8")
        lessons = [_read_lesson(root, name, f"{number}.{k}") for k, name in enumerate(sections, 1)]
        chapters.append(Chapter(entry["file"], _title(text), tuple(lessons)))
    return chapters


def _title(text: str) -> str:
    found = re.search(r"^# (.+)$", text, flags=re.MULTILINE)
    assert found, "a page has a title"
    return found[1].strip()


def _read_lesson(root: Path, name: str, number: str) -> Lesson:
    notebook = json.loads((root / f"{name}.ipynb").read_text(encoding="utf-8"))
    box = "".join(notebook["cells"][0]["source"])
    needs, helped_by = prerequisites(box, posixpath.dirname(name))
    return Lesson(name, number, _title(box), needs, helped_by)


def prerequisites(box: str, folder: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the lessons that a box *This lesson* names: those it needs, and those a part needs.

    What is needed stands in the first sentence. What follows says where else something is
    explained that a part of the lesson uses.
    """
    found = re.search(r"\*\*You need first\*\*\s*(.+)", box)
    if not found:
        return (), ()
    first, _, rest = re.sub(r"\.\s+(?=[A-Z\[])", ".\0", found[1]).partition("\0")
    needs = tuple(_links(first, folder))
    return needs, tuple(name for name in _links(rest, folder) if name not in needs)


def _links(text: str, folder: str) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)#]+)\.ipynb", text):
        yield posixpath.normpath(posixpath.join(folder, target))


def reduced(needs: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Return the pairs (needed, lesson) that no chain of other pairs implies.

    Raises
    ------
    ValueError
        If lessons need each other in a circle.
    """
    above: dict[str, set[str]] = {}

    def ancestors(name: str, path: tuple[str, ...] = ()) -> set[str]:
        if name in path:
            raise ValueError("lessons need each other: " + " -> ".join((*path, name)))
        if name not in above:
            direct = needs[name]
            further = (ancestors(other, (*path, name)) for other in direct)
            above[name] = set(direct).union(*further)
        return above[name]

    for name in needs:
        ancestors(name)
    return [
        (other, name)
        for name, direct in needs.items()
        for other in direct
        if not any(other in above[between] for between in direct)
    ]


class CourseMap(SphinxDirective):
    """Draw the map, and say the same in a list: chapters across, what comes first on top."""

    def run(self) -> list[nodes.Node]:
        root = Path(self.env.srcdir)
        chapters = read_chapters(root)
        address = self.env.app.builder.get_relative_uri
        names = [page.name for page in chapters]
        names += [lesson.name for chapter in chapters for lesson in chapter.lessons]
        for name in names:
            self.env.note_dependency(self.env.doc2path(name))
        links = {name: address(self.env.docname, name) for name in names}
        drawing = nodes.raw("", draw_map(chapters, links), format="html")
        return [drawing, *self._listed(chapters)]

    def _listed(self, chapters: Sequence[Chapter]) -> Iterator[nodes.Node]:
        lessons = {lesson.name: lesson for chapter in chapters for lesson in chapter.lessons}
        for number, chapter in enumerate(chapters, 1):
            heading = nodes.paragraph("", f"Chapter {number}: ", classes=["course-map-chapter"])
            heading += self._link(chapter.name, chapter.title)
            yield heading
            entries = nodes.definition_list(classes=["course-map-list"])
            for lesson in chapter.lessons:
                term = nodes.term("", f"{lesson.number} ", self._link(lesson.name, lesson.title))
                words = nodes.paragraph()
                for start, names in (
                    ("Needs ", lesson.needs),
                    ("A part uses ", lesson.helped_by),
                ):
                    for k, name in enumerate(names):
                        words += nodes.Text(start if k == 0 else ", ")
                        other = lessons[name]
                        words += self._link(name, f"{other.number} {other.title}")
                    if names:
                        words += nodes.Text(". ")
                if not lesson.needs:
                    words.insert(0, nodes.Text("Needs no other lesson. "))
                entries += nodes.definition_list_item("", term, nodes.definition("", words))
            yield entries

    def _link(self, name: str, text: str) -> nodes.Node:
        return addnodes.pending_xref(
            "",
            nodes.inline("", text),
            refdoc=self.env.docname,
            refdomain="std",
            refexplicit=True,
            reftarget=f"/{name}",
            reftype="doc",
        )


def draw_map(chapters: Sequence[Chapter], links: Mapping[str, str]) -> str:
    """Return the map as an SVG element whose nodes are links.

    Pointing at a lesson, or reaching it by key, marks every arrow and lesson that leads to it.
    """
    lessons = [lesson for chapter in chapters for lesson in chapter.lessons]
    ids = {lesson.name: "map-" + lesson.number.replace(".", "-") for lesson in lessons}
    arrows = reduced({lesson.name: lesson.needs for lesson in lessons})
    places = _places(chapters, arrows)
    leads_to: dict[str, set[str]] = {lesson.name: {lesson.name} for lesson in lessons}
    for lesson in sorted(lessons, key=lambda lesson: -places[lesson.name][1]):
        for first, second in arrows:
            if second == lesson.name:
                leads_to[first] |= leads_to[second]

    def marked(name: str) -> str:
        return " ".join(sorted(ids[other] for other in leads_to[name]))

    width = COLUMN * len(chapters)
    height = TOP + ROW * (1 + max(row for _, row in places.values()))
    parts = [
        f'<svg class="course-map" role="group" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" aria-label="Map of the course. '
        'The list below says the same in words.">',
        '<defs><marker id="map-head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" '
        'markerHeight="6" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z"/>'
        "</marker></defs>",
        f"<style>{_marks(ids.values())}{{stroke:var(--pst-color-primary);stroke-width:3}}</style>",
    ]
    for (_, second), path in _routes(arrows, places).items():
        parts.append(f'<path class="course-map-arrow" data-for="{marked(second)}" d="{path}"/>')
    for column, chapter in enumerate(chapters):
        name = escape(f"Chapter {column + 1}: {chapter.title}")
        parts.append(
            f'<a href="{links[chapter.name]}" aria-label="{name}"><title>{name}</title>'
            f'<rect x="{COLUMN * column + 4}" y="2" width="{COLUMN - 8}" height="26" rx="4"/>'
            f'<text x="{COLUMN * (column + 0.5):g}" y="20">{column + 1}</text></a>'
        )
        for lesson in chapter.lessons:
            x, y = _point(places[lesson.name])
            name = escape(f"{lesson.number} {lesson.title}")
            parts.append(
                f'<a href="{links[lesson.name]}" id="{ids[lesson.name]}" aria-label="{name}">'
                f"<title>{name}</title>"
                f'<circle cx="{x:g}" cy="{y:g}" r="{RADIUS}" data-for="{marked(lesson.name)}"/>'
                f'<text x="{x:g}" y="{y + 4.5:g}">{lesson.number}</text></a>'
            )
    return "".join([*parts, "</svg>"])


def _marks(ids: Iterable[str]) -> str:
    return ",".join(f'.course-map:has(#{one}:is(:hover,:focus)) [data-for~="{one}"]' for one in ids)


def _places(chapters: Sequence[Chapter], arrows: Sequence[tuple[str, str]]) -> dict[str, Place]:
    """Return column and row of each lesson: below all that it needs, each place taken once."""
    column = {lesson.name: k for k, c in enumerate(chapters) for lesson in c.lessons}
    places: dict[str, Place] = {}
    waiting = list(column)
    while waiting:
        # The next one in reading order whose own needs are placed; `reduced` knows no circles.
        name = next(n for n in waiting if all(a in places for a, b in arrows if b == n))
        waiting.remove(name)
        row = 1 + max((places[a][1] for a, b in arrows if b == name), default=-1)
        while (column[name], row) in places.values():
            row += 1
        places[name] = column[name], row
    return places


def _point(place: Place) -> tuple[float, float]:
    return COLUMN * (place[0] + 0.5), TOP + ROW * place[1] + RADIUS + 4


def _routes(
    arrows: Sequence[tuple[str, str]], places: Mapping[str, Place]
) -> dict[tuple[str, str], str]:
    """Return the path of each arrow: along the gaps between rows and columns, behind no circle."""
    gaps: dict[Gap, dict[str, list[float]]] = {}
    for first, second in arrows:
        for gap, *ends in _runs(places[first], places[second]):
            gaps.setdefault(gap, {}).setdefault(first, []).extend(ends)
    lanes = {gap: _lanes(_middle(gap), lines) for gap, lines in gaps.items()}

    paths = {}
    for first, second in arrows:
        (x1, y1), (x2, y2) = _point(places[first]), _point(places[second])
        y1, y2 = y1 + RADIUS, y2 - RADIUS
        points = [(x1, y1), (x2, y2)]
        if runs := _runs(places[first], places[second]):
            at = [lanes[gap][first] for gap, *_ in runs]
            # One run goes along a row, three along a row, down a column and along a row again.
            turn = x2 if len(runs) == 1 else at[1]
            x1 += LEAVES if turn > x1 else -LEAVES
            came = x1 if len(runs) == 1 else at[1]
            x2 += COMES if came > x2 else -COMES
            inner = [(x1, at[0]), (x2, at[0])]
            if len(runs) == 3:
                inner = [(x1, at[0]), (at[1], at[0]), (at[1], at[2]), (x2, at[2])]
            points = [(x1, y1 - _sooner(LEAVES)), *inner, (x2, y2 + _sooner(COMES))]
        paths[first, second] = _rounded(points)
    return paths


def _runs(start: Place, end: Place) -> list[tuple[Gap, float, float]]:
    """Return the gaps that an arrow runs along, and from where to where."""
    (x1, y1), (x2, y2) = _point(start), _point(end)
    if start[0] == end[0] and end[1] == start[1] + 1:
        return []
    if end[1] == start[1] + 1:
        return [(("h", start[1]), x1, x2)]
    side = x2 - COLUMN / 2
    return [
        (("h", start[1]), x1, side),
        (("v", end[0]), y1, y2),
        (("h", end[1] - 1), side, x2),
    ]


def _sooner(aside: float) -> float:
    """Return by how much a circle is lower beside its middle."""
    return float(RADIUS - (RADIUS**2 - aside**2) ** 0.5)


def _middle(gap: Gap) -> float:
    direction, number = gap
    return COLUMN * number if direction == "v" else _point((0, number))[1] + ROW / 2


def _lanes(middle: float, lines: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return where each line of a gap runs: beside any other that it would lie upon."""
    ends: list[float] = []
    lane: dict[str, int] = {}
    for name in sorted(lines, key=lambda name: min(lines[name])):
        free = (k for k, end in enumerate(ends) if end < min(lines[name]) - CORNER)
        lane[name] = next(free, len(ends))
        ends[lane[name] :] = [max(lines[name]), *ends[lane[name] + 1 :]]
    return {name: middle + LANE * (k - (len(ends) - 1) / 2) for name, k in lane.items()}


def _rounded(points: Sequence[tuple[float, float]]) -> str:
    """Return a path through points joined by level and upright lines, with round corners."""
    path = [f"M{points[0][0]:.4g} {points[0][1]:.4g}"]
    for before, (x, y), after in zip(points, points[1:], points[2:], strict=False):
        path.append(
            "L{:.4g} {:.4g}Q{:.4g} {:.4g} {:.4g} {:.4g}".format(
                *_towards((x, y), before), x, y, *_towards((x, y), after)
            )
        )
    return "".join([*path, f"L{points[-1][0]:.4g} {points[-1][1]:.4g}"])


def _towards(corner: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    (x, y), (to_x, to_y) = corner, other
    length = abs(to_x - x) + abs(to_y - y)
    share = min(CORNER, length / 2) / length if length else 0
    return x + share * (to_x - x), y + share * (to_y - y)
