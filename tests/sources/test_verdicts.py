"""The capstone's verdicts on source 000 against the ledger of claims."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from tools import claims

ROOT = Path(__file__).resolve().parents[2]
LESSON = ROOT / "book/6-random-matrices/memories.ipynb"
SECTION = "## The claims of the source, one by one"
# Which verdicts of the ledger each heading of the section allows.
ALLOWED = {
    "### Supported here, within limits": {"right", "right-with-limits", "corrected"},
    "### True, but not about random matrices": {"right", "right-with-limits"},
    "### Unsupported": {"unsupported"},
    "### False as stated": {"wrong", "crashes", "corrected"},
}


def verdicts(text: str) -> dict[str, list[str]]:
    """Return the ids under each heading, in the order in which they are linked."""
    start = text.index(SECTION + "\n")
    end = re.search(r"^## ", text[start + len(SECTION) :], flags=re.MULTILINE)
    section = text[start : start + len(SECTION) + end.start()] if end else text[start:]
    parts = re.split(r"^(### .+)$", section, flags=re.MULTILINE)
    return {
        heading: re.findall(r"sources\.md#claim-(000-[a-z0-9-]+)", body)
        for heading, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def lesson_text() -> str:
    cells = json.loads(LESSON.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


@pytest.fixture(scope="module")
def ledger() -> dict[str, str]:
    """Return the verdict of every claim of source 000 by its id."""
    entries = claims.parse((ROOT / claims.CLAIMS).read_text(encoding="utf-8")).claims
    return {claim.id: claim.verdict for claim in entries if claim.source == "000"}


def test_every_claim_of_the_source_has_one_verdict_in_the_capstone(ledger: dict[str, str]) -> None:
    """Oracle: the ledger."""
    found = Counter(name for names in verdicts(lesson_text()).values() for name in names)
    assert found == Counter(list(ledger))


def test_no_verdict_of_the_capstone_contradicts_the_ledger(ledger: dict[str, str]) -> None:
    """Oracle: the ledger; the headings are the four of the lesson."""
    found = verdicts(lesson_text())
    assert list(found) == list(ALLOWED)
    for heading, names in found.items():
        for name in names:
            assert ledger[name] in ALLOWED[heading], (name, ledger[name], heading)


def test_a_wrong_table_is_noticed() -> None:
    """Oracle: a section with two headings, written out."""
    text = (
        f"# T\n\n{SECTION}\n\n### A\n\n[x](../sources.md#claim-000-a) [y](sources.md#claim-000-b)"
    )
    text += "\n\n### B\n\nnothing\n\n## After\n\n[z](sources.md#claim-000-c)"
    assert verdicts(text) == {"### A": ["000-a", "000-b"], "### B": []}
