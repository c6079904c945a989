"""The day at the foot of a page, which git knows or does not know."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.site.test_published import ROOT, build, soup


def git(root: Path, *words: str, date: str = "2021-03-03T12:00:00Z") -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    when = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    subprocess.run(["git", *who, *words], cwd=root, env={**os.environ, **when}, check=True)


@pytest.mark.parametrize(
    ("case", "date"),
    [("history", "3 March 2021"), ("shallow clone", None), ("download", None), ("no git", None)],
)
def test_a_page_says_when_it_changed_and_nothing_where_that_is_not_known(
    case: str, date: str | None, tmp_path: Path
) -> None:
    """The build gives no warning in any case. Oracle: the dates of the commits made here."""
    root = tmp_path / "book"
    (root / "book").mkdir(parents=True)
    for name in ("_config.yml", "tools", "book/_templates", "book/_static", "book/references.bib"):
        (root / name).symlink_to(ROOT / name)
    (root / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nchapters: [{file: book/later}, {file: book/new}]\n"
    )
    (root / "book/index.md").write_text("# First\n\nThe first page.\n")
    git(tmp_path, "init", "--quiet", "--initial-branch=main", str(root))
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=One")
    (root / "book/later.md").write_text("# Later\n\nA later page.\n")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=Two", date="2022-04-04T12:00:00Z")
    variables = {}
    if case == "shallow clone":
        git(tmp_path, "clone", "--quiet", "--depth=1", root.as_uri(), str(tmp_path / "clone"))
        root = tmp_path / "clone"
    elif case != "history":
        shutil.rmtree(root / ".git")
    if case == "no git":
        variables["PATH"] = str(tmp_path / "nothing")
    # A page that is not committed yet.
    (root / "book/new.md").write_text("# New\n\nA new page.\n")

    done = build(root, "-W", "-n", "--keep-going", **variables)
    assert done.returncode == 0, done.stderr[-2000:]

    for name, expected in (("index", date), ("later", date and "4 April 2022"), ("new", None)):
        page = soup(root / f"_build/html/book/{name}.html")
        shown = page.select_one(".last-updated")
        words = shown.get_text(strip=True) if shown else None
        assert words == (f"This page last changed on {expected}." if expected else None)
        assert page.select("a.btn-download-source-button") != []
