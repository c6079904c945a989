"""The real book and where its parts lie, for the tests that check it as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.book.reading import Page, load_book

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def book(root: Path) -> list[Page]:
    """Return every page of the book."""
    return load_book(root)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `page` once for each page of the book."""
    if "page" in metafunc.fixturenames:
        pages = load_book(ROOT)
        metafunc.parametrize("page", pages, ids=[page.name for page in pages])
