"""Structure of the real book: runs, outputs, table of contents, headings, figures, code, the form
of a lesson."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.book import checks
from tests.book.reading import Page

# Those of the prose have a module of their own.
STRUCTURE = [
    check
    for check in checks.PAGE_CHECKS
    if check.__name__ not in ("prose_number_problems", "glue_problems")
]


def test_the_book_has_lessons(book: list[Page]) -> None:
    # Without pages every other test here would pass over nothing.
    assert any(page.is_lesson for page in book)


@pytest.mark.parametrize(
    "check", STRUCTURE, ids=lambda check: check.__name__.removesuffix("_problems")
)
def test_page(page: Page, check: Callable[[Page], list[str]]) -> None:
    checks.insist(check(page))


def test_every_page_is_in_the_table_of_contents_and_every_entry_exists(root: Path) -> None:
    checks.insist(checks.toc_problems(root))


def test_figure_names_are_unique_and_known(book: list[Page]) -> None:
    checks.insist(checks.figure_name_problems(book))


def test_exercise_labels_are_unique(book: list[Page]) -> None:
    checks.insist(checks.exercise_label_problems(book))
