"""Numbers that the code printed reach the prose by glue, so that they cannot go stale."""

from __future__ import annotations

from tests.book import checks
from tests.book.reading import Page


def test_prose_repeats_no_printed_number(page: Page) -> None:
    checks.insist(checks.prose_number_problems(page))


def test_glued_keys_and_used_keys_are_the_same(page: Page) -> None:
    checks.insist(checks.glue_problems(page))
