"""A lesson on paper: as a reader prints it, and as `make pdf` joins it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from pypdf import PdfReader
from pypdf.generic import DictionaryObject

from tools import pdf

LESSON = "book/5-memory/hopfield"
#: The width of a sheet of A4 between the margins, in CSS pixels.
WIDTH = round((210 - 2 * 16) / 25.4 * 96)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(color_scheme="dark")
    yield context.new_page()
    context.close()


def structure(reader: PdfReader, kind: str) -> list[DictionaryObject]:
    """Return the elements of a kind from the tree that screen readers follow."""
    found, waiting = [], [reader.trailer["/Root"]["/StructTreeRoot"]]
    while waiting:
        node = waiting.pop().get_object()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, DictionaryObject):
            if node.get("/S") == kind:
                found.append(node)
            waiting += [node["/K"]] if "/K" in node else []
    return found


def test_a_lesson_prints_clean(page: Page, base: str) -> None:
    """Oracle: what the page says on the screen, without what only a screen can do."""
    for paper, size in (("A4", (595, 842)), ("Letter", (612, 792))):
        reader = PdfReader(io.BytesIO(pdf.print_page(page, f"{base}{LESSON}.html", paper)))
        sheet = reader.pages[0].mediabox
        assert (round(sheet.width), round(sheet.height)) == pytest.approx(size, abs=1)
        text = "\n".join(sheet.extract_text() for sheet in reader.pages)
        assert text.startswith("Hopfield networks")
        assert text.count("Hopfield networks\n") == 1
        for word in ("Previous", "Next\n", "Contents", "Ctrl", "Skip to", "Click to", "Show code"):
            assert word not in text, word
        # Hints and solutions are there to be read; so is the line beneath an explorer.
        words = " ".join(text.split())
        assert "Hint 1" in words
        for hint in page.locator("details.sd-dropdown p:not(:has(.math))").all():
            assert " ".join((hint.text_content() or "").split())[:40] in words
        assert words.count("Solution to") == page.locator(".solution").count() > 0
        assert words.count("On the website this figure has sliders") == 2

        # Formulas are letters and signs, not pictures and not TeX.
        assert "∑" in text
        assert "ξ" in text
        assert not re.search(r"\\(frac|sum|xi|top)\b", text)

        drawn = {str(figure["/Alt"]) for figure in structure(reader, "/Figure") if "/Alt" in figure}
        assert drawn >= set(page.locator("main img").evaluate_all("all => all.map(i => i.alt)"))
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.locator("main details[open]").count() == 0


@pytest.mark.parametrize(
    "sheet_name",
    [LESSON, "book/0-start/notation", "book/9-back/sources", "book/9-back/api/network"],
)
def test_nothing_is_wider_than_the_sheet(page: Page, base: str, sheet_name: str) -> None:
    """Also not what would scroll in a box of its own; and the sheet is white, even at night."""
    page.set_viewport_size({"width": WIDTH, "height": 900})
    page.goto(f"{base}{sheet_name}.html")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    wide = page.evaluate(
        """() => [...document.querySelectorAll("html, main, main *")]
          .filter(e => !e.closest("svg, mjx-container") && e.checkVisibility()
            && e.getBoundingClientRect().right > innerWidth + 1)
          .map(e => `${e.tagName} ${e.className} ${e.textContent.trim().slice(0, 60)}`)"""
    )
    assert wide == []
    ground = "getComputedStyle(document.querySelector('{}')).backgroundColor"
    assert page.evaluate(ground.format("body")) == "rgb(255, 255, 255)"


def test_a_part_is_one_file(browser: Browser, base: str) -> None:
    """With a bookmark for each page and its headings, and a number on each sheet."""
    part = pdf.Part("0-start", ("book/0-start/setup", "book/0-start/how-to-use"))
    joined = pdf.print_part(browser, base, part)
    stored = io.BytesIO()
    joined.write(stored)
    reader = PdfReader(stored)
    titles = [mark["/Title"] for mark in reader.outline if not isinstance(mark, list)]
    assert titles == ["Set-up", "How to use this course"]
    assert "Exercises" in str(reader.outline)
    for number, sheet in enumerate(reader.pages, 1):
        assert re.search(rf"\b{number}$", sheet.extract_text().strip()), number
    # Links lead to the other page in the file, and never to where the site lay when it was printed.
    links = [link.get_object() for sheet in reader.pages for link in sheet["/Annots"]]
    assert [link for link in links if base in str(link.get("/A", ""))] == []
    later = reader.pages[reader.get_destination_page_number(reader.outline[-2])]["/Annots"]
    targets = [link.get_object().get("/Dest") for link in later]
    assert any(t and t[0] == reader.pages[0].indirect_reference for t in targets)


def test_parts_follow_the_table_of_contents(tmp_path: Path) -> None:
    (tmp_path / "_toc.yml").write_text(
        "root: book/index\n"
        "parts:\n"
        "  - caption: Start\n"
        "    chapters: [{file: book/0-start/setup}, {file: book/0-start/notation}]\n"
        "  - caption: Chapter 1\n"
        "    chapters:\n"
        "      - file: book/1-one/index\n"
        "        sections: [{file: book/1-one/lesson}]\n"
    )
    assert pdf.parts(tmp_path) == [
        pdf.Part("0-start", ("book/index", "book/0-start/setup", "book/0-start/notation")),
        pdf.Part("1-one", ("book/1-one/index", "book/1-one/lesson")),
    ]
