"""Numbered equations of the book and the functions that compute them know each other."""

from __future__ import annotations

from pathlib import Path

from tests.book import checks
from tests.book.reading import Page


def test_equations_and_docstrings_match(book: list[Page], root: Path) -> None:
    checks.insist(checks.equation_problems(book, root / "companion"))
