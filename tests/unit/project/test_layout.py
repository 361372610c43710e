"""The sizes that keep the house readable: modules in a folder, lines of a module, lines of a function."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support.paths import ROOT

MODULES_IN_A_FOLDER: Final = 14
LINES_OF_A_MODULE: Final = 300
LINES_OF_A_FUNCTION: Final = 50
TABLE_OF_CONTENTS: Final = Path("deploy/commands")
"""One module for each command: the folder is read as a list, however long it is."""

PACKAGES: Final = ("ims", "producers", "consumers", "deploy", "tests")
MODULES: Final = sorted(path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def test_every_package_is_measured() -> None:
    assert {path.parts[0] for path in MODULES} == set(PACKAGES)
    assert len(MODULES) > 300


def test_no_folder_holds_too_many_modules() -> None:
    counts = Counter(path.parent for path in MODULES if path.parent != TABLE_OF_CONTENTS)
    assert {str(folder): n for folder, n in counts.items() if n > MODULES_IN_A_FOLDER} == {}


def test_no_module_is_too_long() -> None:
    lengths = {str(path): len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {path: n for path, n in lengths.items() if n > LINES_OF_A_MODULE} == {}


def test_no_function_is_too_long() -> None:
    lengths = {f"{path}:{name}": lines for path in MODULES for name, lines in functions(path)}
    assert {place: n for place, n in lengths.items() if n > LINES_OF_A_FUNCTION} == {}


def test_every_package_says_what_lives_there() -> None:
    folders = {path.parent for path in MODULES if path.parts[0] != "tests"}
    assert [str(folder) for folder in sorted(folders) if not (ROOT / folder / "__init__.py").is_file()] == []
