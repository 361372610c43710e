"""The site of the docs: what leads nowhere fails, and the start page is the table of contents."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from docs.conf import BELOW, START, table_of_contents
from tests.support.paths import DOCS, ROOT

BROKEN = {
    "[x](gone.md)": "'gone.md'",
    "[x](there.md#gone)": "'gone'",
    "[x](#nowhere)": "'nowhere'",
    "[x](../code/gone.py)": "'../code/gone.py'",
    "[x](../code)": "'../code'",
    "[x](../README.md#gone-too)": "'gone-too'",
    "[x][reference]\n\n[reference]: gone-by-reference.md": "'gone-by-reference.md'",
}
GOOD = "[a](there.md) [b](there.md#a-heading) [c](#here) [d](../code/code.py) [e](../README.md#project)"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small repository with the project's own configuration and start page."""
    for name, text in {
        "README.md": "# Project\n\n[docs](docs/README.md)\n",
        "code/code.py": "",
        "docs/README.md": "# Docs\n\n## For all\n\n- [A](page.md): a\n- [B](there.md): b\n- [R](../README.md): r\n",
        "docs/page.md": f"# Here\n\n{GOOD}\n",
        "docs/there.md": "# There\n\n## A heading\n\nText.\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    shutil.copy(DOCS / "conf.py", tmp_path / "docs")
    shutil.copytree(DOCS / "templates", tmp_path / "docs" / "templates")
    return tmp_path


def build(tree: Path) -> subprocess.CompletedProcess[str]:
    """Build the site as the Makefile does."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (arguments,) = re.findall(r"^\t\$\(BIN\)/sphinx-build (.*)$", makefile, re.MULTILINE)
    command = [sys.executable, "-m", "sphinx", *arguments.split()]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=120, check=False)


def test_a_site_is_built_and_begins_at_its_start_page(tree: Path) -> None:
    built = build(tree)
    assert (built.returncode, built.stderr) == (0, "")
    start = (tree / "site" / "docs" / "README.html").read_text(encoding="utf-8")
    assert 'href="there.html"' in start.partition("sidebar-tree")[2]
    assert "docs/README.html" in (tree / "site" / "index.html").read_text(encoding="utf-8")
    assert list((tree / "site" / "_downloads").rglob("code.py"))


def test_a_link_that_leads_nowhere_fails(tree: Path) -> None:
    with (tree / "docs" / "page.md").open("a", encoding="utf-8") as page:
        page.write("\n\n".join(("", *BROKEN)))
    (tree / "docs" / "orphan.md").write_text("# In no table of contents\n", encoding="utf-8")
    built = build(tree)
    assert built.returncode == 1
    warnings = [line for line in built.stderr.splitlines() if "WARNING" in line]
    assert [broken for broken, named in BROKEN.items() if not any(named in warning for warning in warnings)] == []
    assert sum("orphan.md" in warning and "toctree" in warning for warning in warnings) == 1
    assert len(warnings) == len(BROKEN) + 1


def test_the_start_page_has_one_table_for_each_kind_of_reader() -> None:
    tables = table_of_contents(START, (DOCS / "README.md").read_text(encoding="utf-8"))
    captions = re.findall(r"^:caption: (.+)$", tables, re.MULTILINE)
    assert captions == ["For operators", "For developers of importers", "For case workers", "For contributors"]


def test_a_page_without_pages_below_it_gets_no_table() -> None:
    assert table_of_contents("docs/settings", "## A heading\n\n- [x](x.md)\n") == ""


@pytest.mark.parametrize("page", BELOW)
def test_every_page_with_pages_below_it_exists(page: str) -> None:
    assert (ROOT / f"{page}.md").is_file()
    assert ":glob:" in table_of_contents(page, "")
