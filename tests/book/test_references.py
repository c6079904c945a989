"""Citations match the bibliography, numbers of papers have the right form, terms are explained."""

from __future__ import annotations

from pathlib import Path

from tests.book import checks
from tests.book.reading import Page


def test_citations_and_bibliography_match(book: list[Page], root: Path) -> None:
    bibliography, claims = root / "book" / "references.bib", root / "book" / "claims.yml"
    checks.insist(checks.reference_problems(book, bibliography, root / "companion", claims))


def test_numbers_of_papers_have_their_form(book: list[Page], root: Path) -> None:
    claims = root / "book" / "claims.yml"
    checks.insist(checks.identifier_problems(book, root / "companion", claims))


def test_terms_are_in_the_glossary(book: list[Page]) -> None:
    checks.insist(checks.term_problems(book))
