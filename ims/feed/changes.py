"""The deltas of one step, held in memory, and the records that an importer has after them.

By the importers' contract recstatus 1 and 2 put a record in the place of one with the same key, and 3 removes it. A
recstatus that contradicts the records before it is counted, and applied all the same.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from ims.feed.files import OpenFile, kind_of, records_of, tallied
from ims.feed.references import NOT_THERE, Keyed
from ims.records.model import Record, RecordKey
from ims.records.vocabulary import RecordKind, RecStatus
from ims.xml.reader import ReadRecord

_Step = tuple[int, RecStatus]
"""The index of a delta in the step, and what the delta asks for."""


class _Touched(msgspec.Struct):
    """Everything that the deltas ask for one key.

    Attributes:
        steps: in order. A changed role is removed and added in the same delta.
        record: the record of the last of them.
    """

    steps: list[_Step]
    record: Record


class Changes:
    """The deltas after a snapshot, by the keys of their records.

    Args:
        open_file: opens a delta.
        paths: the deltas, in order.

    Raises:
        FeedError: a delta cannot be read; the text begins with its path.
        FileNotFoundError: a delta is not there.
    """

    def __init__(self, open_file: OpenFile, paths: Sequence[str]) -> None:
        self._paths = paths
        self._contradictions: list[Counter[str]] = [Counter() for _ in paths]
        self._lacking: list[Counter[str]] = [Counter() for _ in paths]
        self._touched: dict[RecordKey, _Touched] = {}
        for number, path in enumerate(paths):
            self._read(number, records_of(open_file, path, "delta"))
        self._removed: dict[RecordKind, set[str]] = {
            kind: {
                key.id
                for key, touched in self._touched.items()
                if key.kind is kind and any(step is RecStatus.GONE for _, step in touched.steps)
            }
            for kind in NOT_THERE
        }
        members = [key for key in self._touched if key.kind is RecordKind.MEMBERSHIP]
        self._referred = {reference for key in members for reference in _references(key)}
        self._there_before: set[RecordKey] = set()

    def applied_to(self, before: Iterable[Keyed]) -> Iterator[Keyed]:
        """Yield the records after the deltas, in the order of their keys.

        Args:
            before: the records before the deltas, in the order of their keys.
        """
        touched = iter(sorted(self._touched))
        due = next(touched, None)
        for key, record in before:
            while due is not None and due < key:
                yield from self._after(due, None)
                due = next(touched, None)
            if key == due:
                yield from self._after(key, record)
                due = next(touched, None)
            else:
                self._pass(key)
                yield key, record
        while due is not None:
            yield from self._after(due, None)
            due = next(touched, None)

    def contradictions(self) -> list[str]:
        """Return where a recstatus contradicts the records before it, once :meth:`applied_to` has yielded all."""
        return self._tallied(self._contradictions)

    def lacking(self) -> list[str]:
        """Return where a delta leaves memberships without person or group, once :meth:`applied_to` has yielded all."""
        return self._tallied(self._lacking)

    def _tallied(self, wrong: list[Counter[str]]) -> list[str]:
        return [text for path, counted in zip(self._paths, wrong, strict=True) for text in tallied(path, counted)]

    def _read(self, number: int, records: Iterable[ReadRecord]) -> None:
        for record, recstatus in records:
            if recstatus is not None:  # the reader refuses a delta's record without one
                touched = self._touched.setdefault(record.key, _Touched([], record))
                touched.steps.append((number, recstatus))
                touched.record = record

    def _pass(self, key: RecordKey) -> None:
        """Take note of a record that no delta changes."""
        if key.kind is not RecordKind.MEMBERSHIP:
            if key in self._referred:
                self._there_before.add(key)
        elif key.member in self._removed[RecordKind.PERSON] or key.id in self._removed[RecordKind.GROUP]:
            self._count_lacking(key, there_before=True)

    def _after(self, key: RecordKey, before: Record | None) -> Iterator[Keyed]:
        """Yield the record of one key after the deltas, unless it is removed."""
        touched, there = self._touched[key], before is not None
        if there and key.kind is not RecordKind.MEMBERSHIP:
            self._there_before.add(key)
        for number, step in touched.steps:
            if step is RecStatus.GONE and not there:
                self._contradictions[number][f"a {kind_of(key)} record is removed (3) but was not there"] += 1
            elif step is RecStatus.NEW and there:
                self._contradictions[number][f"a {kind_of(key)} record is new (1) but was there already"] += 1
            elif step is RecStatus.CHANGED and not there:
                self._contradictions[number][f"a {kind_of(key)} record is changed (2) but was not there"] += 1
            there = step is not RecStatus.GONE
        if key.kind is RecordKind.MEMBERSHIP:
            self._count_lacking(key, there_before=before is not None)
        if there:
            yield key, touched.record

    def _count_lacking(self, key: RecordKey, *, there_before: bool) -> None:
        """Count a membership for each delta that changes it, its person or its group and leaves it without either."""
        steps = self._steps(key)
        for reference in _references(key):
            others = self._steps(reference)
            for number in sorted({number for number, _ in steps + others}):
                lacks = not _is_there(others, number, there_before=reference in self._there_before)
                if lacks and _is_there(steps, number, there_before=there_before):
                    self._lacking[number][NOT_THERE[reference.kind]] += 1

    def _steps(self, key: RecordKey) -> list[_Step]:
        touched = self._touched.get(key)
        return [] if touched is None else touched.steps


def _references(membership: RecordKey) -> tuple[RecordKey, RecordKey]:
    return RecordKey(RecordKind.PERSON, membership.member), RecordKey(RecordKind.GROUP, membership.id)


def _is_there(steps: list[_Step], number: int, *, there_before: bool) -> bool:
    """Return whether a record is there after the delta with this number."""
    until = [step for at, step in steps if at <= number]
    return until[-1] is not RecStatus.GONE if until else there_before
