"""The addresses that the website may show: how they are read, and that `make book` heeds them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from docutils import nodes
from docutils.utils import new_document

from tools import published

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("", None),
        ("https://github.com/owner/name", "https://github.com/owner/name"),
        ("https://github.com/owner/name/", "https://github.com/owner/name"),
        (" https://github.com/owner/name.git ", "https://github.com/owner/name"),
        ("https://gitlab.com/owner/name/", "https://gitlab.com/owner/name"),
        # Another host has other addresses within, which would have to be made up.
        ("https://git.example.org/owner/name", None),
    ],
)
def test_the_repository_is_read_or_left_out(given: str, url: str | None) -> None:
    repository = published.read_repository({"REPOSITORY": given, "BRANCH": "main"})
    assert (repository and repository.url) == url


@pytest.mark.parametrize(
    "given", ["owner/name", "git@github.com:owner/name", "https://github.com/owner", "https://"]
)
def test_what_is_no_repository_is_refused_in_one_line(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPOSITORY", given)
    with pytest.raises(SystemExit, match=r"^Stopped: REPOSITORY is .*, expected https://[^\n]*$"):
        published.setup(None)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("", None),
        ("https://example.org", "https://example.org/"),
        ("https://owner.github.io/name/", "https://owner.github.io/name/"),
        ("http://127.0.0.1:8000/a/b", "http://127.0.0.1:8000/a/b/"),
    ],
)
def test_the_address_of_the_site_ends_in_a_slash(given: str, url: str | None) -> None:
    assert published.read_site_url({"SITE_URL": given}) == url


@pytest.mark.parametrize("given", ["example.org", "https://example.org/?page=1", "file:///tmp"])
def test_what_is_no_address_of_a_site_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="SITE_URL"):
        published.read_site_url({"SITE_URL": given})


@pytest.mark.parametrize(
    ("host", "provider", "services"),
    [
        ("github.com", "github", {"binderhub_url", "colab_url"}),
        ("gitlab.com", "gitlab", {"binderhub_url"}),
        ("github.example.org", "github", set()),
    ],
)
def test_only_services_that_reach_the_repository_have_a_button(
    host: str, provider: str, services: set[str]
) -> None:
    repository = published.read_repository({"REPOSITORY": f"https://{host}/owner/name"})
    options = published.theme_options(repository)
    assert set(options["launch_buttons"]) - {"notebook_interface"} == services
    assert options["repository_provider"] == provider
    # No branch was named, and none is made up.
    assert options["repository_branch"] == "HEAD"


def test_the_history_of_a_page_has_the_address_that_its_host_gives_it() -> None:
    """Oracle: the documentation of GitHub and of GitLab."""
    on = "https://{}.com/owner/name".format
    history = published.Repository(on("github"), "main").history("book/a b.md")
    assert history == "https://github.com/owner/name/commits/main/book/a%20b.md"
    history = published.Repository(on("gitlab"), "main").history("book/a.md")
    assert history == "https://gitlab.com/owner/name/-/commits/main/book/a.md"


@pytest.mark.parametrize(
    ("paragraphs", "expected"),
    [
        (["Question. Why?", "More."], "Why?"),
        (["First.", "Second."], "First."),
        (["One. " + "Two " * 40], "One."),
        (["word " * 40], "word " * 31 + "…"),
        ([], ""),
    ],
)
def test_a_page_is_described_by_its_question_or_its_first_sentences(
    paragraphs: list[str], expected: str
) -> None:
    document = new_document("page")
    document += [nodes.paragraph("", text) for text in paragraphs]
    assert published.description(document) == expected


def test_the_site_is_built_anew_when_it_is_to_show_other_addresses(tmp_path: Path) -> None:
    """Oracle: what `make` says it would run."""
    for folder in ("_build", "book", "companion", "tools", ".venv"):
        (tmp_path / folder).mkdir()
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("_config.yml", "_toc.yml", "CHANGELOG.md", "requirements.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    for name in ("tools/environment.sh", "tools/build_book.py", ".venv/ready-book"):
        (tmp_path / name).touch()
    known = {k: v for k, v in os.environ.items() if k not in ("REPOSITORY", "BRANCH", "SITE_URL")}
    known = {k: v for k, v in known.items() if not k.startswith(("GITHUB_", "MAKE"))}

    def rebuilds(*words: str, **variables: str) -> bool:
        done = subprocess.run(
            ["make", "--dry-run", "book", *words],
            cwd=tmp_path,
            env={**known, **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        return "build_book.py" in done.stdout

    assert rebuilds()
    ready = tmp_path / "_build/ready"
    # As the build leaves it: once without addresses, once with two of the three.
    ready.write_text("  ")
    assert not rebuilds()
    assert rebuilds("REPOSITORY=https://github.com/a/b")
    ready.write_text("https://github.com/a/b main ")
    assert not rebuilds("REPOSITORY=https://github.com/a/b", "BRANCH=main")
    assert rebuilds("REPOSITORY=https://github.com/a/c", "BRANCH=main")
    assert rebuilds()
    on_github = {
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "a/b",
        "GITHUB_REF_NAME": "main",
    }
    assert not rebuilds(**on_github)
    assert rebuilds(**on_github, SITE_URL="https://a.github.io/b/")
