"""Refuse words for which practitioners have a better one: `python -m tests.lint.words`, a part of `make lint`.

Each word is refused as a whole word, whatever its case: in prose, messages, SQL, YAML and JSON, and in identifiers,
which are split at underscores and capitals first. A phrase is also found where a line break, a comment sign or a
quotation mark divides it. What to write instead is part of the message. The glossary of the README defines the terms
of our own that stay.

The tests are not in :data:`SCOPE`: their names and prose follow the same list, but operators and importers read the
product and its pages.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
SCOPE: Final = (
    "ims",
    "producers",
    "consumers",
    "deploy",
    "docs",
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "Makefile",
    "pyproject.toml",
)
"""The files and folders that are read; one that does not exist is passed over."""

_BINARY: Final = frozenset({".pyc", ".png", ".gz"})


class Rule(NamedTuple):
    """Words to refuse, as a regular expression of lower-case words with single spaces, and what to write instead."""

    words: str
    instead: str


RULES: Final = (
    Rule("told|tell|tells|telling", "published, sent, recorded, or says"),
    Rule("anew", "again"),
    Rule("rests|rested|(?:come|comes|coming|came) to rest", "settles, settled"),
    Rule("what is so", "the current state, the current roster"),
    Rule("(?:stand|stands|standing|stood) still|standstills?", "halted"),
    Rule("mends?|mended|mending", "fix, fixed"),
    Rule("heals?|healed|healing", "resolve, resolved"),
    Rule("(?:put|puts|putting) aside", "quarantine, quarantined"),
    Rule("twins?", "persons with the same id"),
    Rule("(?:bear|bears|bearing) on", "affects"),
    Rule("looked at", "in scope, checked, read"),
    Rule("doorways?", "adapter"),
    Rule("farewells?", "shutdown handshake"),
    Rule("whoever|whomever", "the person, the importer, the process: the noun that is meant"),
    Rule("nobody|somebody", "no person, the operator, another process: the noun that is meant"),
    Rule("in vain|vain", "failed attempt"),
    Rule("crash points?", "failpoint"),
    Rule("feed modes?", "permissions"),
    Rule("punctuality", "deadline margin"),
    Rule("forget offsets?", "reset offsets"),
    Rule("(?:keep|keeps|keeping|kept) house", "clean up"),
    Rule("patiently", "retrying"),
)


class Excuse(NamedTuple):
    """Files in which any word may stand, and why."""

    path: str
    reason: str


EXCUSES: Final = (
    Excuse("docs/decisions.md", "append-only: history stays as it was written"),
    Excuse("CHANGELOG.md", "history stays as it was written, and what was renamed is named"),
    Excuse("deploy/state/migrations/000?_*.sql", "applied files: databases have recorded their digests"),
    Excuse("deploy/state/migrations/001[012]_*.sql", "applied files: databases have recorded their digests"),
    Excuse("deploy/state/migrations/0013_words.sql", "it renames tables and columns, and so has their former names"),
)


class Finding(NamedTuple):
    """A refused word: its file (from the top of the repository) and line, the word, and what to write instead."""

    path: str
    line: int
    word: str
    instead: str

    def __str__(self) -> str:
        """Return it as `file:line: word: what to do`."""
        return f"{self.path}:{self.line}: {self.word}: write {self.instead}"


_TEST: Final = re.compile(r"`[^`\s]+::[^`\s]+`")
"""A test that a page names: tests are not in scope."""
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_")
# What may divide the words of a phrase: spaces, comment signs, quotation marks where a text goes on in the next line.
_BETWEEN: Final = r"(?:[\s#*>\"'-]|\bf(?=[\"']))+"


def _pattern(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words.replace(' ', _BETWEEN)})\b")


_PATTERNS: Final = tuple((_pattern(rule.words), rule.instead) for rule in RULES)


def refused(text: str) -> Iterator[tuple[int, str, str]]:
    r"""Yield the line, the word and what to write instead of each refused word in *text*.

    >>> list(refused("def whatWasTold(): # in the\n    # end, crash_points"))
    [(1, 'told', 'published, sent, recorded, or says'), (2, 'crash points', 'failpoint')]
    """
    words = _CAMEL.sub(" ", _TEST.sub("", text)).lower()
    found = [
        (match.start(), " ".join(re.split(_BETWEEN, match[0])), instead)
        for pattern, instead in _PATTERNS
        for match in pattern.finditer(words)
    ]
    for start, word, instead in sorted(found):
        yield words.count("\n", 0, start) + 1, word, instead


def files(root: Path = ROOT) -> Iterator[Path]:
    """Yield the text files of :data:`SCOPE`, in order."""
    for name in SCOPE:
        top = root / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and path.suffix not in _BINARY:
                yield path


def findings(root: Path = ROOT) -> Iterator[Finding]:
    """Yield every refused word of the files below *root* that no excuse covers."""
    for path in files(root):
        name = path.relative_to(root).as_posix()
        if not any(fnmatch(name, excuse.path) for excuse in EXCUSES):
            for line, word, instead in refused(path.read_text(encoding="utf-8", errors="replace")):
                yield Finding(name, line, word, instead)


def report(found: Iterable[Finding]) -> int:
    """Print what was found, and return the exit code: 1 if there was anything."""
    lines = [str(finding) for finding in found]
    for line in lines:
        print(line)  # noqa: T201 - the output of a command
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(report(findings()))
