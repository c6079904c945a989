"""What tools/course_pages.py takes from the lessons: a stored figure, and the map."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest

from tests.book.conftest import ROOT
from tools import course_pages
from tools.course_pages import Chapter, Lesson

NEEDS = "**Question.** Why?\n\n**You need first** {}\n\n**Time.** 40 minutes, [no link](x.ipynb)."


@pytest.mark.parametrize(
    ("words", "needs", "helped_by"),
    [
        ("Python with NumPy. The symbols are in [Notation](../0-start/notation.md).", (), ()),
        ("[One](one.ipynb), and [two](../2-b/two.ipynb).", ("1-a/one", "2-b/two"), ()),
        ("{eq}`x` of [one](one.ipynb#here). Part of it uses [two](two.ipynb).", ("1-a/one",), None),
        ("[One](one.ipynb). [One](one.ipynb) has more, e.g. a proof.", ("1-a/one",), ()),
    ],
)
def test_the_first_sentence_names_what_is_needed(
    words: str, needs: tuple[str, ...], helped_by: tuple[str, ...] | None
) -> None:
    found = course_pages.prerequisites(NEEDS.format(words), "1-a")
    assert found == (needs, ("1-a/two",) if helped_by is None else helped_by)


def test_a_pair_that_a_chain_implies_is_left_out() -> None:
    """Expected by hand: d needs b and c, both need a, and d's own link to a says nothing new."""
    needs = {"a": (), "b": ("a",), "c": ("a",), "d": ("a", "b", "c")}
    assert course_pages.reduced(needs) == [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]


def test_lessons_cannot_need_each_other() -> None:
    with pytest.raises(ValueError, match="need each other: a -> b -> a"):
        course_pages.reduced({"a": ("b",), "b": ("a",)})


def test_a_figure_comes_with_its_words(tmp_path: Path) -> None:
    path = tmp_path / "lesson.ipynb"
    cell = {
        "metadata": {"mystnb": {"figure": {"name": "fig-a"}, "image": {"alt": "A line."}}},
        "outputs": [{"data": {"text/plain": ["x"]}}, {"data": {"image/svg+xml": ["<svg>", "\n"]}}],
    }
    path.write_text(json.dumps({"cells": [{"metadata": {}}, cell]}))
    assert course_pages.stored_figure(path, "fig-a") == (b"<svg>", "A line.")
    with pytest.raises(ValueError, match=r"lesson\.ipynb stores no figure 'fig-b'"):
        course_pages.stored_figure(path, "fig-b")


@pytest.fixture(scope="module")
def chapters() -> list[Chapter]:
    return course_pages.read_chapters(ROOT)


def test_the_map_has_every_lesson_and_only_lessons(chapters: list[Chapter]) -> None:
    """Oracle: the notebooks of the chapters."""
    lessons = {lesson.name: lesson for chapter in chapters for lesson in chapter.lessons}
    notebooks = {
        p.relative_to(ROOT).with_suffix("").as_posix() for p in ROOT.glob("book/*/*.ipynb")
    }
    assert set(lessons) == notebooks
    for lesson in lessons.values():
        assert set(lesson.needs + lesson.helped_by) < set(lessons), lesson.name
        assert lesson.number.split(".")[0] in lesson.name


def lesson(name: str, *needs: str) -> Lesson:
    return Lesson(name, f"{ord(name[0]) - 96}.{name[1]}", name.upper() + " <i>", needs, ())


SMALL = [
    Chapter(
        "a", "First", (lesson("a1"), lesson("a2", "a1"), lesson("a3", "a1"), lesson("a4", "a2"))
    ),
    Chapter("b", "Second", (lesson("b1", "a1", "a2"), lesson("b2", "a4", "b1"))),
    Chapter("c", "Third", (lesson("c1", "a1", "b2"),)),
]


@pytest.mark.parametrize("which", ["small", "course"])
def test_no_line_of_the_map_runs_behind_a_circle(which: str, chapters: list[Chapter]) -> None:
    """Oracle: the points of the drawing. A line touches the circles at its two ends alone."""
    chosen = SMALL if which == "small" else chapters
    names = [lesson.name for chapter in chosen for lesson in chapter.lessons]
    links = dict.fromkeys([*names, *(chapter.name for chapter in chosen)], "#")
    drawing = course_pages.draw_map(chosen, links)
    circles = [
        (float(x), float(y)) for x, y in re.findall(r'<circle cx="([^"]+)" cy="([^"]+)"', drawing)
    ]
    assert len(set(circles)) == len(circles) == len(names)
    lines = re.findall(r' d="(M[^"]+)"/>', drawing)[1:]
    needs = {lesson.name: lesson.needs for chapter in chosen for lesson in chapter.lessons}
    assert len(lines) == len(course_pages.reduced(needs))
    for line in lines:
        numbers = [float(n) for n in re.findall(r"-?[\d.]+", line)]
        points = list(zip(numbers[::2], numbers[1::2], strict=True))
        for (x1, y1), (x2, y2) in itertools.pairwise(points):
            for k in range(1, 20):
                x, y = x1 + (x2 - x1) * k / 20, y1 + (y2 - y1) * k / 20
                near = min((x - cx) ** 2 + (y - cy) ** 2 for cx, cy in circles) ** 0.5
                assert near > course_pages.RADIUS - 0.5, line


def test_titles_in_the_map_are_text() -> None:
    links = dict.fromkeys(("a", "b", "c", "a1", "a2", "a3", "a4", "b1", "b2", "c1"), "#")
    drawing = course_pages.draw_map(SMALL, links)
    assert "<i>" not in drawing
    assert 'aria-label="1.1 A1 &lt;i&gt;"' in drawing
