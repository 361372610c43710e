"""`imsfeed docs`: every page that a message or an alert names can be printed where imsfeed is installed."""

import re

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from deploy.commands.docs import find_page, pages, title_of
from ims.errors import InvalidSettingsError
from tests.support.paths import DOCS, ROOT


def cited() -> list[tuple[str, str]]:
    """Return every page that the product's code, alerts and dashboard name, and where."""
    found = set()
    for package in ("ims", "producers", "consumers", "deploy"):
        for path in (ROOT / package).rglob("*"):
            if path.suffix in {".py", ".yml", ".json", ".sql", ".yaml"} and "containers" not in path.parts:
                text = path.read_text(encoding="utf-8")
                names = re.findall(r"(?<![/.\w])docs/([\w/-]+)\.md", text) + re.findall(
                    r"imsfeed docs ([a-z][\w/-]*)", text
                )
                found |= {(name, path.relative_to(ROOT).as_posix()) for name in names}
    return sorted(found)


@pytest.mark.parametrize(("page", "where"), cited(), ids=lambda value: value)
def test_every_page_that_is_named_exists(page: str, where: str) -> None:
    assert title_of(find_page(page)), where


def test_pages_are_named_somewhere() -> None:
    assert {"runbook/reconciliation-differs", "security"} <= {page for page, _ in cited()}


@pytest.mark.parametrize("name", ["docs/runbook/lost-slot.md", "runbook/lost-slot", "lost-slot", "lost-slot.md#steps"])
def test_a_page_is_found_as_messages_name_it(name: str) -> None:
    result = CliRunner().invoke(app, ["docs", name])
    assert (result.exit_code, result.output) == (0, (DOCS / "runbook/lost-slot.md").read_text(encoding="utf-8"))


def test_all_pages_are_listed_with_their_titles() -> None:
    listed = CliRunner().invoke(app, ["docs"]).output
    for name, path in pages().items():
        assert name in listed
        assert title_of(path)[:20] in listed


@pytest.mark.parametrize("name", ["no-such-page", "../pyproject", ""])
def test_an_unknown_page_is_refused(name: str) -> None:
    with pytest.raises(InvalidSettingsError, match="imsfeed docs"):
        find_page(name)
