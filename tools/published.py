"""Fit the website to the place where it is published, and say when each page changed.

A Sphinx extension. It reads three variables of the environment, which ``make`` passes on:

``REPOSITORY``
    where the source lies, as ``https://github.com/owner/name``;
``BRANCH``
    the branch that the links point at, by default the one that the host shows first;
``SITE_URL``
    where the website will lie.

What is not given does not appear: no link, card or sitemap names an address that was made up.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from logging import ERROR, getLogger
from typing import Any
from urllib.parse import quote, urlsplit

import sphinxext.opengraph  # type: ignore[import-untyped]
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
# tools/colab.py writes the lessons of this branch.
COLAB_BRANCH = "colab"
# The icon of the site as pixels, which cards and telephones want.
MARK = "book/_static/mark.png"
# What search engines show of a description.
DESCRIPTION_LENGTH = 160
DESCRIPTIONS = {
    "404": "There is no page at this address.",
    "genindex": "All terms, functions and classes of the course, in alphabetical order.",
    "py-modindex": "The modules of the package that the lessons use, in alphabetical order.",
    "search": "Search the lessons, the glossary and the reference of the course.",
}


# --- addresses ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Repository:
    """A repository on GitHub or GitLab, or on a server that runs one of them."""

    url: str
    branch: str

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def provider(self) -> str:
        return "gitlab" if "gitlab" in self.host else "github"

    def history(self, path: str) -> str:
        """Return the address of the list of changes of a file."""
        commits = "-/commits" if self.provider == "gitlab" else "commits"
        return f"{self.url}/{commits}/{quote(self.branch)}/{quote(path)}"


def read_repository(environment: Mapping[str, str]) -> Repository | None:
    """Return the repository that the environment names, if it names one.

    Raises ValueError if what it names is not the address of a repository.
    """
    url = environment.get("REPOSITORY", "").strip().rstrip("/").removesuffix(".git")
    if not url:
        return None
    if not re.fullmatch(r"https?://[\w.:-]+/[\w.-]+/[\w.-]+", url):
        raise ValueError(f"REPOSITORY is {url!r}, expected https://github.com/owner/name")
    if not re.search("github|gitlab", urlsplit(url).netloc):
        # Continuous integration elsewhere sets the variables of GitHub too.
        LOGGER.info("no links to the source: %s is neither GitHub nor GitLab", url)
        return None
    # Both hosts read HEAD as the branch that they show first.
    return Repository(url, environment.get("BRANCH", "").strip() or "HEAD")


def read_site_url(environment: Mapping[str, str]) -> str | None:
    """Return the address of the website, with a slash at its end, if the environment has it.

    Raises ValueError if it is not an address.
    """
    url = environment.get("SITE_URL", "").strip()
    if not url:
        return None
    if not re.fullmatch(r"https?://[\w.:-]+(/[\w.~/-]*)?", url):
        raise ValueError(f"SITE_URL is {url!r}, expected https://owner.github.io/name/")
    return url.rstrip("/") + "/"


# --- the extension --------------------------------------------------------------------------------


def setup(app: Sphinx) -> dict[str, Any]:
    """Join the build, with the extensions that need to know the address only if it is known."""
    try:
        repository, site_url = read_repository(os.environ), read_site_url(os.environ)
    except ValueError as error:
        # One line: Jupyter Book would bury an error of Sphinx under two tracebacks.
        raise SystemExit(f"Stopped: {error}") from None

    # The text of a lesson begins with a box, which the extension's own function leaves out.
    sphinxext.opengraph.get_description = lambda doctree, *_: escape(description(doctree), False)
    app.setup_extension("sphinxext.opengraph")
    app.setup_extension("sphinx_last_updated_by_git")
    if site_url is not None:
        app.setup_extension("sphinx_sitemap")
        app.setup_extension("notfound.extension")
        app.connect("build-finished", write_robots)

    def configure(app: Sphinx, config: Config) -> None:
        if repository is not None:
            config.html_theme_options |= theme_options(repository)
        if site_url is None:
            config.ogp_social_cards = {"enable": False}
        else:
            config.html_baseurl = config.ogp_site_url = site_url
            config.ogp_social_cards = {"image_mini": MARK, "line_color": "#0072B2"}
            # The font of the cards is one file for all weights, which matplotlib remarks on.
            getLogger("matplotlib.font_manager").setLevel(ERROR)
            config.sitemap_url_scheme = "{link}"
            config.sitemap_show_lastmod = True
            config.sitemap_excludes = ["404.html", "index.html", "search.html"]
            config.notfound_template = "404.html"
            config.notfound_urls_prefix = urlsplit(site_url).path

    def finish_page(
        app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any
    ) -> None:
        context["site_url"] = site_url
        context.setdefault("metatags", "")
        if pagename == "404":
            context["pageurl"] = None
        if pagename in DESCRIPTIONS:
            context["metatags"] += _meta_description(DESCRIPTIONS[pagename])
            context["chapters"] = chapters(app.env)
        if site_url is None:
            # The extension would write an address without a host, which no reader of cards takes.
            context["metatags"] = re.sub(r'<meta property="og:url".*?>\n?', "", context["metatags"])
        if doctree is not None and repository is not None:
            context["page_history"] = repository.history(str(app.env.doc2path(pagename, False)))
            mend_buttons(context["header_buttons"], repository.branch)
        if pagename == app.config.root_doc:
            # The page at the top, which sends the reader on, has the same card.
            app.env.temp_data["landing"] = context["metatags"]

    def more_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
        yield "index", {"landing": app.env.temp_data.get("landing", "")}, "start.html"
        if site_url is None:
            yield "404", {"title": "Page not found"}, "404.html"

    # Before the extensions read their settings, and after the theme has made its buttons.
    app.connect("config-inited", configure, priority=100)
    app.connect("env-updated", forget_missing_git, priority=900)
    app.connect("html-page-context", finish_page, priority=800)
    app.connect("html-collect-pages", more_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": False}


def theme_options(repository: Repository) -> dict[str, Any]:
    """Return what makes the theme show links to the repository and to the services that run it."""
    launch = {"notebook_interface": "jupyterlab"}
    # The public Binder reaches only public hosts, and Colab only GitHub.
    if repository.host in ("github.com", "gitlab.com"):
        launch["binderhub_url"] = "https://mybinder.org"
    if repository.host == "github.com":
        launch["colab_url"] = "https://colab.research.google.com"
    return {
        "repository_url": repository.url,
        "repository_branch": repository.branch,
        "repository_provider": repository.provider,
        "use_repository_button": True,
        "use_source_button": True,
        "launch_buttons": launch,
    }


def mend_buttons(groups: list[dict[str, Any]], branch: str) -> None:
    """Let Colab open the notebook that installs the package, and let GitHub draw a notebook."""
    for button in [button for group in groups for button in group.get("buttons", [])]:
        url = button.get("url", "")
        if button["text"] == "Colab":
            button["url"] = url.replace(f"/blob/{branch}/", f"/blob/{COLAB_BRANCH}/", 1)
        elif url.endswith(".ipynb?plain=1"):
            button["url"] = url.removesuffix("?plain=1")


def description(doctree: nodes.document) -> str:
    """Return the question of a lesson, or the first paragraph of another page."""
    paragraphs = [" ".join(p.astext().split()) for p in doctree.findall(nodes.paragraph)]
    question = next((p for p in paragraphs if p.startswith("Question. ")), None)
    text = question.removeprefix("Question. ") if question else next(iter(paragraphs), "")
    if len(text) <= DESCRIPTION_LENGTH:
        return text
    # As many sentences as have room, or as many words of the first.
    start = text[: DESCRIPTION_LENGTH - len(" …")]
    sentences = re.match(r".*[.?!](?= )", start)
    return sentences[0] if sentences else start.rsplit(" ", 1)[0].rstrip(",;:") + " …"


def _meta_description(text: str) -> str:
    return f'\n<meta name="description" content="{escape(text)}" />'


def chapters(env: BuildEnvironment) -> list[tuple[str, str]]:
    """Return name and title of the first page of each chapter."""
    pages = (name for name in env.titles if re.fullmatch(r"book/[1-8]-[^/]+/index", name))
    return [(name, env.titles[name].astext()) for name in sorted(pages)]


def forget_missing_git(app: Sphinx, env: BuildEnvironment) -> None:
    """Keep the download buttons where there is no git: the extension takes them from such pages."""
    dates = env.git_last_updated  # type: ignore[attr-defined]
    dates.update({name: (None, True) for name, date in dates.items() if date is None})


def write_robots(app: Sphinx, error: Exception | None) -> None:
    """Name the sitemap to search engines, which look for it where the site is the whole host."""
    if error is None:
        text = f"User-agent: *\nAllow: /\n\nSitemap: {app.config.html_baseurl}sitemap.xml\n"
        (app.outdir / "robots.txt").write_text(text, encoding="utf-8")
