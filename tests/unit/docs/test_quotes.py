"""What a page quotes of the program, such as messages and lines of logs, is written so in the code."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from deploy.commands.exit_codes import CODES
from tests.support.paths import DOCS, ROOT

PAGES = [*sorted((DOCS / "runbook").glob("*.md")), DOCS / "operations.md"]
PACKAGES = ("ims", "producers", "consumers", "deploy")
SHORTEST = 6
"""Letters of a part of a quote that is looked for: between two values little may stand."""
NOT_OURS = re.compile(r"imsfeed\b|[A-Z_]+=|grant |alter |create |update |sslmode|wal_level =|\w+ = |\"|chronyc|\.venv")
"""Inline code that is a command, SQL, or a setting."""


@cache
def written() -> str:
    """Return all texts of the code but docstrings, without the values in them."""
    texts = []
    for path in (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        explained = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
                texts.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in explained:
                texts.append(node.value)
    return "\n".join(texts)


def quotes(markdown: str) -> list[str]:
    """Return what a page quotes: in quotation marks, or as inline code of several words that is no command."""
    prose = re.sub(r"(?s)```.*?```", "", markdown)
    code = [span for span in re.findall(r"`([^`]+)`", prose) if " " in span and not NOT_OURS.match(span)]
    marked = re.findall(r'"([^"]+)"', re.sub(r"`[^`]+`", "", prose))
    return [" ".join(quote.split()) for quote in (*code, *marked)]


def parts(quote: str) -> list[str]:
    """Return the parts of a quote between its values: names in quotation marks, numbers, and what an ellipsis omits.

    >>> parts("replication slot 'imsfeed' is at …, and capture has read only up to 0/12")
    ['replication slot', ', and capture has read only up to']
    """
    found = re.split(r"'[^']*'|\d[\d./]*|…|\([^)]*\)|\b(?:source|every table|owner) (?=[:\d])|: ", quote)
    return [part.strip() for part in found if len(part.strip()) >= SHORTEST]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_quotes_is_in_the_code(page: Path) -> None:
    found = [part for quote in quotes(page.read_text(encoding="utf-8")) for part in parts(quote)]
    assert [part for part in found if part not in written()] == []


def test_a_quote_that_no_code_writes_is_found() -> None:
    page = "It says \"replication slot 'imsfeed' has vanished\", or `the slot is at …`, and `imsfeed status` shows it."
    assert [part for quote in quotes(page) for part in parts(quote)] == [
        "the slot is at",
        "replication slot",
        "has vanished",
    ]
    assert "has vanished" not in written()
    assert "replication slot" in written()


def test_every_exit_code_that_a_page_names_exists() -> None:
    pattern = r"exit code\s+(\d+)|exits\s+with\s+(?:code\s+)?(\d+)"
    named = [
        int(first or second)
        for page in [*DOCS.glob("*.md"), *DOCS.glob("runbook/*.md"), ROOT / "README.md"]
        for first, second in re.findall(pattern, page.read_text(encoding="utf-8"))
    ]
    assert len(named) > 10
    assert set(named) <= CODES.keys()
