"""The pages on the user guide's requirements and on known traps name tests and files that exist."""

import re

import pytest

from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("|")][2:]


def is_a_test(name: str) -> bool:
    file, _, function = name.partition("::")
    path = ROOT / "tests" / file
    return path.is_file() and f"def {function}(" in path.read_text(encoding="utf-8")


def test_no_line_of_the_guide_is_missing() -> None:
    assert len(ROWS) == 28


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_every_row_names_code_and_a_test(row: str) -> None:
    _, code, tests = row.strip("| ").split(" | ")
    assert code
    named = re.findall(r"`([^`]+)`", tests)
    assert named
    assert [name for name in named if not is_a_test(name)] == []


def test_every_test_and_file_that_the_page_names_exists() -> None:
    names = re.findall(r"`([^`\s]+)`", PAGE)
    assert [name for name in names if "::" in name and name != "file::test" and not is_a_test(name)] == []
    files = [name for name in names if name.startswith(("ims/", "consumers/", "producers/", "deploy/", "docs/"))]
    assert files
    assert [name for name in files if not (ROOT / name).exists()] == []


def test_every_trap_names_a_test_that_exists() -> None:
    page = (ROOT / "docs" / "traps.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| the trap ")]
    named = [re.findall(r"`([^`\s]+::[^`\s]+)`", row) for row in rows]
    assert len(rows) > 30
    assert all(named)
    assert [name for names in named for name in names if not is_a_test(name)] == []


@pytest.mark.parametrize("name", ["unit/ims/rules/test_roster.py::test_nothing", "unit/ims/test_nowhere.py::test_it"])
def test_a_missing_test_is_noticed(name: str) -> None:
    assert not is_a_test(name)
