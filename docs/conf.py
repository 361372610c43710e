"""The documentation as a site, built by Sphinx: `make docs`.

The source directory is the top of the repository, so that README.md, CONTRIBUTING.md and the pages below docs/ are one
set of pages, and a relative link means the same on the site and on a repository host. MyST checks every one of them: a
link to a page or to a heading of it must resolve, and a link to any other file of the repository must find that file,
which is then copied into the site. What does not resolve is a warning, and `make docs` fails at the first warning.
"""

import re
from importlib import metadata
from typing import Final

from sphinx.application import Sphinx

START: Final = "docs/README"
"""The page whose lists of links are the site's table of contents: a page that it does not list is a warning."""

BELOW: Final = {
    "docs/importers/contract": ("*", "kit/README"),
    "docs/performance": ("performance/*",),
    "docs/runbook/README": ("*",),
}
"""Pages that have pages of their own below them in the table of contents, each named relative to the page."""

project = "imsfeed"
project_copyright = "the imsfeed authors"
release = metadata.version("imsfeed")
root_doc = START
include_patterns = ["*.md", "docs/**.md"]
exclude_patterns = [".*", "site"]
templates_path = ["templates"]

extensions = ["myst_parser", "sphinxcontrib.mermaid"]
myst_heading_anchors = 4
# Repository hosts draw a fenced block of this language too. On the site the reader's browser draws it, with a script
# from jsdelivr.net: the only thing that the site fetches from elsewhere.
myst_fence_as_directive = ["mermaid"]

html_theme = "furo"
html_title = f"imsfeed {release}"
html_copy_source = False
# The site begins at docs/README.html; who opens the folder is taken there.
html_additional_pages = {"index": "redirect.html"}


def table_of_contents(docname: str, text: str) -> str:
    """Return the directives that put other pages below a page; empty for a page that has none below it.

    Args:
        docname: the page's path without its suffix.
        text: its Markdown. The start page's lists of links become one table per heading of level 2.
    """
    if docname in BELOW:
        return _toctree("", BELOW[docname], glob=True)
    if docname != START:
        return ""
    sections = (section.partition("\n") for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:])
    return "".join(
        _toctree(heading.strip(), re.findall(r"^- \[[^]]*\]\(([^)#]+)\.md\)", body, re.MULTILINE))
        for heading, _, body in sections
    )


def _toctree(caption: str, pages: list[str] | tuple[str, ...], *, glob: bool = False) -> str:
    options = [":hidden:", *([":glob:"] if glob else []), *([f":caption: {caption}"] if caption else [])]
    return "\n".join(["\n\n```{toctree}", *options, "", *pages, "```\n"]) if pages else ""


def _add_table_of_contents(_app: Sphinx, docname: str, source: list[str]) -> None:
    source[0] += table_of_contents(docname, source[0])


def setup(app: Sphinx) -> None:
    """Have Sphinx call the functions above."""
    app.connect("source-read", _add_table_of_contents)
