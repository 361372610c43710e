"""Every page of the runbook is followed by a test, and what it names in passing is run by one too."""

import re
from pathlib import Path
from typing import cast

import pytest

from ims.source.mapping import parse_mapping
from ims.targets.written_settings import parse_toml
from tests.support.docs.followed_page import blocks, filled_in, following
from tests.support.installation import Installation
from tests.support.paths import DOCS, ROOT, TESTS

RUNBOOK = sorted(page for page in (DOCS / "runbook").glob("*.md") if page.name != "README.md")
WITHOUT_COMMANDS = {"clocks"}
"""Pages that tell the operator to mend what is not ours, such as a machine's clock; none has a block of commands."""
STORIES = [*sorted((TESTS / "acceptance" / "runbook").glob("*.py")), TESTS / "acceptance" / "test_pages.py"]


def words(line: str) -> tuple[str, ...]:
    """Return the command of a line: its words before the first option, placeholder or value."""
    found = re.match(r"imsfeed((?: +[a-z][a-z-]*)*)(?= |$)", line)
    return tuple(found[1].split()) if found else ()


def run_on(page: Path) -> set[tuple[str, ...]]:
    """Return the commands of a page's blocks."""
    return {
        words(line.strip())
        for block in blocks(page.read_text(encoding="utf-8"))
        for line in block.text.splitlines()
        if line.strip().startswith("imsfeed ")
    }


def followed() -> list[str]:
    """Return the pages that a test follows."""
    return [name for story in STORIES for name in re.findall(r'following\(\s*"([\w./-]+)"', story.read_text("utf-8"))]


def test_every_page_of_the_runbook_is_followed() -> None:
    pages = {page.stem for page in RUNBOOK}
    assert {name.removeprefix("runbook/") for name in followed()} >= pages - WITHOUT_COMMANDS
    assert [page for page in RUNBOOK if page.stem in WITHOUT_COMMANDS and run_on(page)] == []


@pytest.mark.parametrize("page", RUNBOOK, ids=lambda page: page.stem)
def test_a_command_that_a_page_names_in_passing_is_run_by_a_test(page: Path) -> None:
    run = {command for name in followed() for command in run_on(DOCS / f"{name}.md")}
    prose = re.sub(r"(?s)```.*?```", "", page.read_text(encoding="utf-8"))
    named = {words(" ".join(span.split())) for span in re.findall(r"`(imsfeed [^`]+)`", prose)}
    known = {command[: len(one)] for command in run for one in named}
    assert named <= known


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))], ids=lambda page: page.stem)
def test_every_sample_of_settings_is_read_by_the_program(page: Path) -> None:
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language == "toml":
            assert parse_toml(block.text) if "[[target]]" in block.text else parse_mapping(block.text)


def test_a_block_that_a_test_does_not_take_is_found() -> None:
    nothing_is_run = cast("Installation", None)
    with pytest.raises(AssertionError, match="did not take"), following("holds", nothing_is_run) as page:
        page.sample("sh")


def test_a_placeholder_without_a_value_is_refused() -> None:
    assert filled_in('imsfeed resync OWNER; echo "$OWNER"', {"OWNER": "7"}) == 'imsfeed resync 7; echo "$OWNER"'
    with pytest.raises(AssertionError, match="no value for TARGET"):
        filled_in("imsfeed why TARGET 7", {})
