"""Print each chapter of the built website into one PDF, in _build/pdf.

Run as ``make pdf``, after ``make book``; needs Chromium. The sheets are those that a reader's
browser prints. What is added here is the joining of the pages, bookmarks, and page numbers.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from playwright.sync_api import Browser, Page, PdfMargins, sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, NameObject, NullObject, TextStringObject

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.chromium import MISSING, QUIET, find_chromium

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
PDF = ROOT / "_build" / "pdf"
MARGIN: PdfMargins = {"top": "16mm", "bottom": "18mm", "left": "16mm", "right": "16mm"}


@dataclass(frozen=True)
class Part:
    """A chapter, or the pages before or after all chapters: what becomes one file."""

    name: str
    pages: tuple[str, ...]


def parts(root: Path) -> list[Part]:
    """Return what ``_toc.yml`` groups, in its order."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    found = []
    for part in toc["parts"]:
        pages = list(_files(part["chapters"]))
        found.append(Part(Path(pages[0]).parent.name, tuple(pages)))
    # The first page belongs to the first part.
    return [Part(found[0].name, (toc["root"], *found[0].pages)), *found[1:]]


def _files(entries: list[dict[str, object]]) -> Iterator[str]:
    for entry in entries:
        yield str(entry["file"])
        sections = entry.get("sections", [])
        assert isinstance(sections, list)
        yield from _files(sections)


def print_page(page: Page, address: str, paper: str = "A4") -> bytes:
    """Return the PDF of one page of the site."""
    page.goto(address)
    page.evaluate("() => document.fonts.ready.then(() => true)")
    return page.pdf(format=paper, margin=MARGIN, print_background=True, outline=True, tagged=True)


def print_part(browser: Browser, site: str, part: Part, paper: str = "A4") -> PdfWriter:
    """Return one document with the pages of a part, bookmarks and page numbers."""
    context = browser.new_context(color_scheme="light", reduced_motion="reduce")
    page = context.new_page()
    joined = PdfWriter()
    starts: dict[str, int] = {}
    for name in part.pages:
        printed = PdfReader(io.BytesIO(print_page(page, f"{site}{name}.html", paper)))
        if not starts:
            joined.add_metadata({"/Title": page.title()})
        starts[f"{site}{name}.html"] = len(joined.pages)
        joined.append(printed)
    numbers = PdfReader(io.BytesIO(_numbers(page, len(joined.pages), paper)))
    for sheet, number in zip(joined.pages, numbers.pages, strict=True):
        sheet.merge_page(number)
    context.close()
    _lead_links(joined, site, starts)
    joined.compress_identical_objects()
    return joined


def _lead_links(joined: PdfWriter, site: str, starts: dict[str, int]) -> None:
    """Turn links to pages of the site into links to sheets, or to the site where it is published.

    As they come they name a folder of this machine. Those that lead nowhere else are taken away.
    """
    published = os.environ.get("SITE_URL", "")
    for sheet in joined.pages:
        kept = ArrayObject()
        for link in sheet.get("/Annots", ArrayObject()):
            action = link.get_object().get("/A", {})
            address = str(action.get("/URI", ""))
            page = address.partition("#")[0]
            if page in starts:
                target = joined.pages[starts[page]].indirect_reference
                link.get_object().pop("/A")
                fit = [target, NameObject("/XYZ"), NullObject(), NullObject(), NullObject()]
                link.get_object()[NameObject("/Dest")] = ArrayObject(fit)
            elif address.startswith(site) and published:
                address = f"{published.rstrip('/')}/{address.removeprefix(site)}"
                action[NameObject("/URI")] = TextStringObject(address)
            elif address.startswith(site):
                continue
            kept.append(link)
        sheet[NameObject("/Annots")] = kept


def _numbers(page: Page, count: int, paper: str) -> bytes:
    """Return as many sheets, empty but for their numbers."""
    page.set_content("<div style='break-after: page'>&nbsp;</div>" * (count - 1) + "&nbsp;")
    number = "<div style='font-size: 9px; width: 100%; text-align: center'>{}</div>"
    return page.pdf(
        format=paper,
        margin=MARGIN,
        display_header_footer=True,
        header_template="<span></span>",
        footer_template=number.format('<span class="pageNumber"></span>'),
    )


def main(arguments: list[str] | None = None) -> int:
    """Print the parts named, or all; say where they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help="folders of book/, such as 1-matrices")
    parser.add_argument("--paper", default="A4", choices=["A4", "Letter"])
    options = parser.parse_args(arguments)
    chromium = find_chromium()
    if chromium is None:
        print(f"Stopped: {MISSING}", file=sys.stderr)
        return 1
    found = parts(ROOT)
    if unknown := sorted(set(options.parts) - {part.name for part in found}):
        print(f"Stopped: there is no part {', '.join(unknown)}.", file=sys.stderr)
        return 1
    PDF.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        for part in found:
            if not options.parts or part.name in options.parts:
                document = print_part(browser, f"{HTML.as_uri()}/", part, options.paper)
                file = PDF / f"{part.name}.pdf"
                document.write(file)
                print(f"-- {file.relative_to(ROOT)}: {len(document.pages)} sheets", flush=True)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
