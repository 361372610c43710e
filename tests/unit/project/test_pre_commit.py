"""The hooks before a commit are the tools of the gate, in the versions of the lock."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.paths import ROOT

(REPOSITORY,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
HOOKS: list[dict[str, Any]] = REPOSITORY["hooks"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
LOCK = (ROOT / "deploy" / "lock" / "development.txt").read_text(encoding="utf-8")
PACKAGES = {"lint-imports": "import-linter"}


def test_no_hook_is_fetched_from_elsewhere() -> None:
    assert REPOSITORY["repo"] == "local"
    assert {hook["language"] for hook in HOOKS} == {"system"}


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_runs_a_tool_of_the_lock_that_lint_runs_too(hook: dict[str, Any]) -> None:
    program, *_ = hook["entry"].split()
    if program == "make":
        assert re.search(rf"^lint: .*\b{hook['entry'].split()[-1]}\b", MAKEFILE, re.MULTILINE)
        return
    assert program.startswith(".venv/bin/")
    tool = Path(program).name
    assert re.search(rf"^\t\$\(BIN\)/{tool}\b", MAKEFILE.partition("\nlint:")[2], re.MULTILINE)
    assert f"\n{PACKAGES.get(tool, tool)}==" in LOCK
