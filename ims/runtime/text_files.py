"""The reading of every file that a person writes: settings, targets, mappings, secrets, events.

Editors write such files with a byte order mark, in UTF-16, with the line ends of Windows, or in the encoding of an
older machine. The first three are read. The last cannot be known for certain, so that the error names the file and the
encoding that it seems to have.
"""

import codecs
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from ims.errors import InvalidSettingsError

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    # Before those of UTF-16, one of which is the beginning of one of these.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LONGEST_MARK: Final = 4
_CONTROLS: Final = frozenset(range(0x80, 0xA0))
"""Bytes that are letters and quotes in Windows-1252, and control characters, which no one writes, in Latin-1."""


def read_text(path: Path, name: str | None = None) -> str:
    """Return the file's text, without byte order mark and with a line feed as line end.

    Args:
        path: the file.
        name: what errors call it; its path unless given.

    Raises:
        InvalidSettingsError: the file cannot be read, or its encoding is not known; names the file, never its content.
    """
    shown = name or str(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidSettingsError(f"{shown} cannot be read: {error.strerror or type(error).__name__}") from None
    return _decoded(content, shown).replace("\r\n", "\n").replace("\r", "\n")


def lines_of(stream: IO[bytes], name: str) -> Iterator[bytes]:
    """Yield the lines of a file of any size as UTF-8, each with its line end and without byte order mark.

    Args:
        stream: the file, at its beginning.
        name: what errors call it.

    Raises:
        InvalidSettingsError: the encoding is not known, or a line is not in it.
    """
    first = stream.readline()
    mark, encoding = _mark(first)
    if encoding not in {None, "utf-8"}:
        try:
            yield from (line.encode() for line in io.TextIOWrapper(_rejoined(first[len(mark) :], stream), encoding))
        except UnicodeError:
            raise _unknown(name, f"begins with the mark of {_shown(encoding)} and is not in it") from None
        return
    number, line = 1, first[len(mark) :]
    while line:
        if not line.isascii() or b"\0" in line:
            _decoded(line, name, number)
        yield line
        number, line = number + 1, stream.readline()


def _rejoined(begun: bytes, rest: IO[bytes]) -> io.BufferedReader:
    return io.BufferedReader(_Rejoined(begun, rest))


class _Rejoined(io.RawIOBase):
    """The beginning of a file that has been read already, and the rest of it."""

    def __init__(self, begun: bytes, rest: IO[bytes]) -> None:
        super().__init__()
        self._begun = begun
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - any object with writable bytes
        read, self._begun = self._begun[: len(buffer)], self._begun[len(buffer) :]
        read = read or self._rest.read(len(buffer))
        buffer[: len(read)] = read
        return len(read)


def _mark(content: bytes) -> tuple[bytes, str | None]:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return mark, encoding
    return b"", None


def _decoded(content: bytes, name: str, line: int | None = None) -> str:
    mark, encoding = _mark(content[:_LONGEST_MARK]) if line is None else (b"", None)
    content = content[len(mark) :]
    if encoding is None and b"\0" in content:
        raise _unknown(name, "seems to be UTF-16 without a byte order mark")
    try:
        return content.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding not in {None, "utf-8"}:
            raise _unknown(name, f"begins with the mark of {_shown(encoding)} and is not in it") from None
        number = line or content.count(b"\n", 0, error.start) + 1
        seems = "Windows-1252" if _CONTROLS & set(content) else "Latin-1 (ISO 8859-1)"
        raise _unknown(name, f"is not UTF-8: line {number} seems to be {seems}") from None


def _shown(encoding: str | None) -> str:
    return (encoding or "utf-8")[:6].upper()


def _unknown(name: str, problem: str) -> InvalidSettingsError:
    return InvalidSettingsError(f"{name} {problem}; save it as UTF-8")
