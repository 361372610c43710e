"""The proof of one step of a feed: one snapshot and the deltas after it give the next snapshot.

The same as the last step of :mod:`ims.feed.verification`, but in memory for the deltas alone: snapshots are in the
order of their keys, so the two are read side by side. For a proof every night, whatever a target's size.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from hashlib import file_digest
from io import BufferedReader
from itertools import pairwise
from typing import NamedTuple, TypeVar

from ims.errors import FeedError
from ims.feed.manifest import DeltaEntry, SnapshotEntry
from ims.feed.verification import kind_of, records_of, tallied
from ims.records.model import Record, RecordKey
from ims.records.vocabulary import RecStatus

L = TypeVar("L")
R = TypeVar("R")

Open = Callable[[str], BufferedReader]
"""Opens a file by its path in the target's folder; raises ``FileNotFoundError``."""
_Change = tuple[RecStatus | None, Record]


class StepVerification(NamedTuple):
    """What is wrong with a step of a feed; texts name files and count records, and never say whose they are.

    Attributes:
        damaged: files that are not what was recorded of them, and breaks of the chain. If there are any, the step
            itself cannot be proved.
        differences: where the snapshots and the deltas between do not go together.
        records: how many records the later snapshot holds.
    """

    damaged: list[str]
    differences: list[str]
    records: int


def prove_step(
    open_file: Open, earlier: SnapshotEntry | None, later: SnapshotEntry, deltas: Sequence[DeltaEntry]
) -> StepVerification:
    """Prove that *earlier* and the deltas up to *later* give *later*, and that every file is as it was recorded.

    Args:
        open_file: opens a file of the feed.
        earlier: the snapshot before, or ``None`` if *later* is the first one.
        later: the snapshot to be proved.
        deltas: those recorded after *earlier*, in order; those after *later* too.
    """
    snapshots = [later] if earlier is None else [earlier, later]
    damaged = [problem for entry in snapshots for problem in _damage(open_file, entry)]
    damaged += [problem for entry in deltas for problem in _damage(open_file, entry)]
    damaged += _breaks(earlier.seq if earlier is not None else later.seq, deltas)
    if damaged:
        return StepVerification(damaged, [], 0)
    wrong: Counter[str] = Counter()
    try:
        between = [entry for entry in deltas if entry.seq <= later.seq]
        changes = sorted(_changes(open_file, between).items())
        before = _snapshot(open_file, earlier.path) if earlier is not None else _snapshot(open_file, later.path)
        expected = _changed(before, iter(changes), wrong)
        records = _compare(expected, _snapshot(open_file, later.path), wrong)
    except FeedError as error:
        return StepVerification([str(error)], [], 0)
    return StepVerification([], [f"{later.path}: {problem}" for problem in tallied(wrong)], records)


def _damage(open_file: Open, entry: SnapshotEntry | DeltaEntry) -> Iterator[str]:
    try:
        with open_file(entry.path) as file:
            if file_digest(file, "sha256").hexdigest() != entry.sha256:
                yield f"{entry.path}: its digest is not the one recorded"
    except FileNotFoundError:
        yield f"{entry.path}: is not there"


def _breaks(seq: int, deltas: Sequence[DeltaEntry]) -> Iterator[str]:
    if deltas and deltas[0].seq != seq + 1:
        yield f"{deltas[0].path}: delta {seq + 1} should come first after the snapshot"
    for before, after in pairwise(deltas):
        if after.seq != before.seq + 1:
            yield f"{after.path}: follows delta {before.seq}, a gap"
        elif after.prev_sha256 != before.sha256:
            yield f"{after.path}: prev_sha256 is not the digest of the delta before"


def _changes(open_file: Open, deltas: Sequence[DeltaEntry]) -> dict[RecordKey, list[_Change]]:
    changes: dict[RecordKey, list[_Change]] = {}
    for entry in deltas:
        with open_file(entry.path) as file, _named(entry.path):
            for record, recstatus in records_of(file, "delta"):
                changes.setdefault(record.key, []).append((recstatus, record))
    return changes


def _snapshot(open_file: Open, path: str) -> Iterator[tuple[RecordKey, Record]]:
    previous: RecordKey | None = None
    with open_file(path) as file, _named(path):
        for record, _ in records_of(file, "full"):
            if previous is not None and record.key <= previous:
                raise FeedError(f"a {kind_of(record.key)} record is not in the order of the keys")
            previous = record.key
            yield previous, record


class _named:  # noqa: N801 - used as a context manager
    """Puts a file's path in front of an error's text."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, FeedError):
            raise FeedError(f"{self._path}: {error}") from None


def _changed(
    before: Iterator[tuple[RecordKey, Record]], changes: Iterator[tuple[RecordKey, list[_Change]]], wrong: Counter[str]
) -> Iterator[tuple[RecordKey, Record]]:
    """The records after the changes; a recstatus that does not go with what was there is counted as wrong."""
    for key, found, steps in _side_by_side(before, changes):
        record = found
        for recstatus, published in steps or ():
            if recstatus is RecStatus.GONE and record is None:
                wrong[f"a {kind_of(key)} record is gone (3) that was not there"] += 1
            elif recstatus is RecStatus.NEW and record is not None:
                wrong[f"a {kind_of(key)} record is new (1) that was there already"] += 1
            elif recstatus is RecStatus.CHANGED and record is None:
                wrong[f"a {kind_of(key)} record is changed (2) that was not there"] += 1
            record = None if recstatus is RecStatus.GONE else published
        if record is not None:
            yield key, record


def _compare(
    expected: Iterator[tuple[RecordKey, Record]], published: Iterator[tuple[RecordKey, Record]], wrong: Counter[str]
) -> int:
    records = 0
    for key, due, found in _side_by_side(expected, published):
        records += found is not None
        if found is None:
            wrong[f"a {kind_of(key)} record is missing that the snapshot and deltas before give"] += 1
        elif due is None:
            wrong[f"a {kind_of(key)} record is there that the snapshot and deltas before do not give"] += 1
        elif due != found:
            wrong[f"a {kind_of(key)} record is not as the snapshot and deltas before give it"] += 1
    return records


def _side_by_side(
    left: Iterator[tuple[RecordKey, L]], right: Iterator[tuple[RecordKey, R]]
) -> Iterator[tuple[RecordKey, L | None, R | None]]:
    """Both in the order of their keys, each key once, with what either has for it."""
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        if one is not None and (other is None or one[0] < other[0]):
            yield one[0], one[1], None
            one = next(left, None)
        elif other is not None and (one is None or other[0] < one[0]):
            yield other[0], None, other[1]
            other = next(right, None)
        elif one is not None and other is not None:
            yield one[0], one[1], other[1]
            one, other = next(left, None), next(right, None)
