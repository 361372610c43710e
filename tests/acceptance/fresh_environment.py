"""An environment that holds one wheel, the packages that the production lock names, and nothing else.

The packages are copied from the environment in which the tests run, so that nothing is fetched; that they are in the
versions of the production lock is checked. What only the development or the demo needs is therefore missing.
"""

import re
import shutil
import subprocess
import sys
import venv
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from tests.support.paths import DEPLOY

LOCK: Final = DEPLOY / "lock" / "production.txt"


class FreshEnvironment:
    """A virtual environment below *folder*, with an empty working directory beside it."""

    def __init__(self, folder: Path) -> None:
        self._environment = folder / "environment"
        self.folder = folder / "work"
        self.folder.mkdir()
        venv.create(self._environment, with_pip=False)
        (self.packages,) = self._environment.glob("lib/python*/site-packages")

    def install(self, wheel: Path) -> None:
        """Install the locked packages, then the wheel as it is."""
        for requirement in locked():
            _copy(requirement, self.packages)
        self.pip("install", "--no-index", "--no-deps", str(wheel))

    def pip(self, *arguments: str) -> str:
        """Run the tests' own pip on the environment, which has none; return what it printed."""
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(self._environment)]
        return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120, check=True).stdout

    def run(self, program: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in the working directory, with no environment variables but *variables*."""
        return subprocess.run(
            [self._environment / "bin" / program, *arguments],
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "COLUMNS": "200", **variables},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def locked() -> list[Requirement]:
    """Return what the production lock names for this platform."""
    lines = re.findall(r"^([a-z].*?) \\$", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    requirements = [Requirement(line) for line in lines]
    return [one for one in requirements if one.marker is None or one.marker.evaluate()]


def _copy(requirement: Requirement, packages: Path) -> None:
    installed = distribution(requirement.name)
    assert installed.version in requirement.specifier, f"{requirement.name} is tested as {installed.version}"
    for file in installed.files or ():
        # Scripts lie outside site-packages, and none of these packages' is needed.
        if ".." not in file.parts and "__pycache__" not in file.parts:
            (packages / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(file.locate()), packages / file)
