"""The checks of each file of a feed on its own: its size, its digest, its schema, and the number of its records.

Files are read in blocks or record by record, never whole. A problem is a message that names the file and the rule.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, Final, Literal

from ims.errors import FeedError
from ims.feed.manifest import Counts, DeltaEntry, KindCounts, SnapshotEntry
from ims.records.model import Record, RecordKey
from ims.records.vocabulary import RecordKind, RecStatus
from ims.xml.reader import ReadRecord, read
from ims.xml.schema import problems as schema_problems

OpenFile = Callable[[str], BinaryIO]
"""Opens a file by its path in the target's folder; raises ``FileNotFoundError`` if it does not exist."""

_BLOCK_BYTES: Final = 1 << 18
_SHOWN: Final = 5
"""How many of a file's schema problems are listed; the others are only counted."""


def digest_and_size(file: BinaryIO) -> tuple[str, int]:
    """Return the SHA-256 of a file in hexadecimal, and its size in bytes."""
    digest, size = hashlib.sha256(), 0
    for block in iter(partial(file.read, _BLOCK_BYTES), b""):
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size


def stored_file_problems(open_file: OpenFile, entry: SnapshotEntry | DeltaEntry, recorded_in: str) -> list[str]:
    """Return how a file differs from its recorded entry: it is missing, or has another size or digest.

    Args:
        recorded_in: the record that has *entry*, named in the messages.
    """
    try:
        with open_file(entry.path) as file:
            sha256, size = digest_and_size(file)
    except FileNotFoundError:
        return [f"{entry.path}: is missing, but listed in {recorded_in}"]
    if size != entry.size:
        return [f"{entry.path}: has {size} bytes, not {entry.size} as {recorded_in} says"]
    return [] if sha256 == entry.sha256 else [f"{entry.path}: its digest differs from the one in {recorded_in}"]


def schema_problems_of(open_file: OpenFile, path: str) -> list[str]:
    """Return a file's first schema problems, and how many more there are.

    Raises:
        FileNotFoundError: the file does not exist.
    """
    with open_file(path) as file:
        found = schema_problems(file)
    more = [f"and {len(found) - _SHOWN} more schema problems"] if len(found) > _SHOWN else []
    return [f"{path}: {problem}" for problem in found[:_SHOWN] + more]


def delta_counts(open_file: OpenFile, path: str) -> Counts:
    """Return how many records a delta holds.

    Raises:
        FeedError: as :func:`records_of`.
        FileNotFoundError: the file does not exist.
    """
    counted = Counter((record.key.kind, recstatus) for record, recstatus in records_of(open_file, path, "delta"))
    return Counts(*(KindCounts(*(counted[kind, recstatus] for recstatus in RecStatus)) for kind in RecordKind))


def records_of(open_file: OpenFile, path: str, type_: Literal["full", "delta"]) -> Iterator[ReadRecord]:
    """Yield the records of a file.

    Raises:
        FeedError: the file cannot be read (:func:`ims.xml.reader.read`), or is not of this type; the message begins
            with the path.
        FileNotFoundError: the file does not exist.
    """
    with open_file(path) as file:
        try:
            for item in read(file):
                if isinstance(item, ReadRecord):
                    yield item
                elif item.type != type_:
                    raise FeedError(f"its type is {item.type}, not {type_}")
        except FeedError as error:
            raise FeedError(f"{path}: {error}") from None


class SnapshotReader:
    """A snapshot that can be read several times.

    Attributes:
        repeated: how many records have the same key as the record before them, as far as the last reading has come.
    """

    def __init__(self, open_file: OpenFile, path: str) -> None:
        self._open_file = open_file
        self._path = path
        self.repeated = 0

    def records(self) -> Iterator[tuple[RecordKey, Record]]:
        """Yield the records in the order of their keys; of several with the same key only the last, as importers do.

        Raises:
            FeedError: as :func:`records_of`, or the records are not in the order of their keys.
            FileNotFoundError: the file does not exist.
        """
        self.repeated = 0
        last: tuple[RecordKey, Record] | None = None
        for record, _ in records_of(self._open_file, self._path, "full"):
            key = record.key
            if last is not None and key == last[0]:
                self.repeated += 1
            elif last is not None:
                if key < last[0]:
                    raise FeedError(f"{self._path}: a {kind_of(key)} record is out of order")
                yield last
            last = key, record
        if last is not None:
            yield last


def kind_of(key: RecordKey) -> str:
    """Return the word for the kind of a record in messages."""
    return key.kind.name.lower()


def tallied(path: str, wrong: Counter[str]) -> list[str]:
    """Return one message for each problem of a file, with the number of times it was found."""
    return [f"{path}: {count} x {what}" for what, count in sorted(wrong.items()) if count]
