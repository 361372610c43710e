"""Where the project's files are, for tests that read them; no test counts its own folders."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
DOCS: Final = ROOT / "docs"
TESTS: Final = ROOT / "tests"
