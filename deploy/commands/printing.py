"""What the commands print: the one place through which names, codes and other data reach a terminal.

A code or a file name may look like markup of a terminal library, may hold escape sequences that move the cursor or
change the window's title, and may hold a national id. So no text is ever read as markup, characters that cannot be seen
are written as escapes, and national ids are masked. A test refuses any other way to print in the commands.

A table fits the terminal if it can: its cells are wrapped between words. If the words do not fit beside each other,
each row is written as a paragraph. In a file or a pipe every row is one line, whole.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from ims.identifiers.national_id import without_national_ids
from ims.records.text import visible

_LONGEST_WORD: Final = 24
"""Characters of a word that a column keeps in one piece; a longer one, such as a path, may be broken."""
_FRAME: Final = 3
"""Characters that each column's lines and spaces take, and one more at the end of the row."""
_UNLIMITED: Final = 1_000_000


class Exact(str):
    """A text of our own that is printed as it is, though its digits may look like a national id: part of a digest."""

    __slots__ = ()


def printable(text: object) -> str:
    r"""Return a text of any origin as it may be printed on one line.

    >>> printable("8[/b]A\x1b[2J 01810012345")
    '8[/b]A\\x1b[2J ***********'
    """
    # Masked first: characters that cannot be seen may separate the digits of a national id.
    return str(text) if isinstance(text, Exact) else visible(without_national_ids(str(text)))


def say(*lines: object, error: bool = False) -> None:
    """Print each of *lines* as one line on stdout, or on stderr; a line break in data is written as an escape."""
    for line in lines:
        typer.echo(printable(line), err=error)


def print_json(found: object) -> None:
    """Print *found* as JSON for scripts, in lines, with national ids masked in every text."""
    safe = _masked(msgspec.to_builtins(found, str_keys=True))
    text = msgspec.json.format(msgspec.json.encode(safe), indent=2).decode()
    typer.echo("".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text))


def _escaped(character: str) -> str:
    """Return a character that cannot be seen as JSON writes it in a text."""
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on stdout; of a cell that is no text, its text is printed."""
    cells = [[printable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        _print(_table(headings, cells, [0] * len(headings)), _UNLIMITED)
        return
    width = Console().width
    words = [
        max((min(len(word), _LONGEST_WORD) for cell in column for word in cell.split()), default=0)
        for column in zip_longest(headings, *cells, fillvalue="")
    ]
    if sum(words) + _FRAME * len(words) + 1 <= width:
        _print(_table(headings, cells, words), width)
        return
    for row in cells:
        lines = (f"{heading}: {cell}" if heading else cell for heading, cell in zip(headings, row, strict=True) if cell)
        typer.echo("\n  ".join(lines) + "\n")


def print_styled(text: Text) -> None:
    """Print a text whose parts have been made printable, in colour if stdout is a terminal."""
    Console(soft_wrap=True, markup=False, highlight=False, emoji=False).print(text)


@contextmanager
def waiting(text: str) -> Iterator[Callable[[str], None]]:
    """Show on stderr, if that is a terminal, what is waited for; yield a function that changes the text."""
    with Console(stderr=True).status(escape(printable(text))) as status:
        yield lambda changed: status.update(escape(printable(changed)))


@contextmanager
def progress(text: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar on stderr, if that is a terminal; yield a function that takes how much is done, and of how much."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(escape(printable(text)), total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


@contextmanager
def reading(path: Path, text: str, *, shown: bool = True) -> Iterator[BinaryIO]:
    """Open a file for reading, and show on stderr, if that is a terminal, how much has been read."""
    console = Console(stderr=True)
    with (
        Progress(console=console, transient=True, disable=not (shown and console.is_terminal)) as bar,
        bar.open(path, "rb", description=escape(printable(text))) as stream,
    ):
        yield stream


def moment(at: datetime | None) -> str:
    """Return a time to the second in the machine's zone; nothing if there is none."""
    return "" if at is None else at.astimezone().isoformat(sep=" ", timespec="seconds")


def _print(table: Table, width: int) -> None:
    Console(width=width, markup=False, highlight=False, emoji=False).print(table)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], words: Sequence[int]) -> Table:
    table = Table(box=box.HEAVY_HEAD)
    for heading, word in zip(headings, words, strict=True):
        table.add_column(Text(heading), overflow="fold", min_width=word or None)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _masked(value: Any) -> Any:  # noqa: ANN401 - JSON
    match value:
        case str():
            return without_national_ids(value)
        case dict():
            return {without_national_ids(key): _masked(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_masked(inner) for inner in value]
        case _:
            return value
