"""Java for the tests: the jars that Maven resolves, and whether Java and Maven are installed."""

import fcntl
import functools
import hashlib
import re
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.local.process import LocalStackError
from tests.support.paths import TESTS

CACHE: Final = TESTS / ".kafka"
OLDEST_JAVA: Final = 17


def jars(pom: Path) -> Path:
    """Return the directory of the jars that a pom names; Maven resolves them once for each content of the pom.

    A lock lets only one process run Maven: two at the same time could corrupt its repository.

    Raises:
        LocalStackError: Maven cannot resolve them.
    """
    directory = CACHE / hashlib.sha256(pom.read_bytes()).hexdigest()[:16]
    if not directory.is_dir():
        CACHE.mkdir(exist_ok=True)
        with (CACHE / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not directory.is_dir():
                _resolve(pom, directory)
    return directory


def _resolve(pom: Path, directory: Path) -> None:
    unfinished = CACHE / f"unfinished-{uuid.uuid4().hex[:12]}"
    run(["mvn", "-q", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={unfinished}"])
    unfinished.rename(directory)


def run(command: Sequence[str]) -> None:
    """Run a program to its end.

    Raises:
        LocalStackError: it failed; the text ends with what it printed.
    """
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise LocalStackError(f"{' '.join(command)} failed:\n{done.stdout}")


@functools.cache
def lacking() -> str | None:
    """Return what is missing for Apache Kafka to run; ``None`` if nothing is."""
    java = shutil.which("java")
    if not java or not shutil.which("mvn"):
        return "java or mvn is not on the PATH"
    output = subprocess.run([java, "-version"], check=False, capture_output=True, text=True).stderr
    version = re.search(r'version "(\d+)', output)
    if not version or int(version[1]) < OLDEST_JAVA:
        return f"java is not version {OLDEST_JAVA} or newer"
    return None
