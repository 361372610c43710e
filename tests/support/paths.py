"""The paths of the project's folders, for tests that read its files; no test counts its own parent folders."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
DOCS: Final = ROOT / "docs"
TESTS: Final = ROOT / "tests"
