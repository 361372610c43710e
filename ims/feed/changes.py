"""The deltas of one step, held in memory and applied as the contract asks of an importer.

recstatus 1 and 2 store the record under its key, 3 removes the record with that key. A recstatus that contradicts the
state before it is counted as a problem, and applied all the same.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import msgspec

from ims.feed.files import OpenFile, kind_of, records_of, tallied
from ims.feed.references import MISSING, Keyed
from ims.records.model import PersonRecord, Record, RecordKey
from ims.records.vocabulary import RecordKind, RecStatus
from ims.xml.reader import ReadRecord

Closed = Mapping[str, Collection[str]]
"""``sourcedid/id`` of groups that are closed without a record, by the path of the delta."""
_Step = tuple[int, RecStatus]
"""The number of a delta within the step, and a recstatus in it."""


class _Touched(msgspec.Struct):
    """What the deltas say about one key.

    Attributes:
        steps: in order; a changed role has two in one delta, removed and new.
        record: the record of the last step; ``None`` if all that is known is that a group was closed without one.
    """

    steps: list[_Step]
    record: Record | None


class Changes:
    """The deltas after a snapshot: they are applied to its records, and their contradictions are counted.

    Args:
        open_file: opens a delta.
        paths: the deltas, in order.
        closed: ``sourcedid/id`` of the groups that a delta closes without a record, by its path.

    Raises:
        FeedError: a delta cannot be read; the message begins with its path.
        FileNotFoundError: a delta does not exist.
    """

    def __init__(self, open_file: OpenFile, paths: Sequence[str], closed: Closed = MappingProxyType({})) -> None:
        self._paths = paths
        self._contradictions: list[Counter[str]] = [Counter() for _ in paths]
        self._missing: list[Counter[str]] = [Counter() for _ in paths]
        self._disorder: list[Counter[str]] = [Counter() for _ in paths]
        self._touched: dict[RecordKey, _Touched] = {}
        for number, path in enumerate(paths):
            self._read(number, records_of(open_file, path, "delta"))
            for id_ in closed.get(path, ()):
                key = RecordKey(RecordKind.GROUP, id_)
                self._touched.setdefault(key, _Touched([], None)).steps.append((number, RecStatus.GONE))
        self._removed: dict[RecordKind, set[str]] = {
            kind: {
                key.id
                for key, touched in self._touched.items()
                if key.kind is kind and any(step is RecStatus.GONE for _, step in touched.steps)
            }
            for kind in MISSING
        }
        members = [key for key in self._touched if key.kind is RecordKind.MEMBERSHIP]
        self._referred = {reference for key in members for reference in _references(key)}
        self._existed_before: set[RecordKey] = set()

    def applied_to(self, before: Iterable[Keyed]) -> Iterator[Keyed]:
        """Yield the records as they are after the deltas, in the order of their keys.

        Args:
            before: the records before the deltas, in the order of their keys.
        """
        touched = iter(sorted(self._touched))
        due = next(touched, None)
        for key, record in before:
            while due is not None and due < key:
                yield from self._applied(due, None)
                due = next(touched, None)
            if key == due:
                yield from self._applied(key, record)
                due = next(touched, None)
            else:
                self._note_untouched(key)
                yield key, record
        while due is not None:
            yield from self._applied(due, None)
            due = next(touched, None)

    def contradictions(self) -> list[str]:
        """Return where a recstatus contradicts the state before it; valid once all records have been yielded."""
        return self._tallied(self._contradictions)

    def missing(self) -> list[str]:
        """Return where a delta leaves memberships without person or group; valid once all records have been yielded."""
        return self._tallied(self._missing)

    def disorder(self) -> list[str]:
        """Return where a delta removes a record after it has added one: of the memberships of one group, or of a kind.

        A person's old id that a new record names is removed last.
        """
        return self._tallied(self._disorder)

    def _tallied(self, wrong: list[Counter[str]]) -> list[str]:
        return [text for path, counted in zip(self._paths, wrong, strict=True) for text in tallied(path, counted)]

    def _read(self, number: int, records: Iterable[ReadRecord]) -> None:
        added: set[tuple[RecordKind, str]] = set()
        carried_on: set[str | None] = set()
        for record, recstatus in records:
            if recstatus is not None:  # always true: the reader refuses a record without recstatus in a delta
                self._note_order(number, record, recstatus, added, carried_on)
                touched = self._touched.setdefault(record.key, _Touched([], record))
                touched.steps.append((number, recstatus))
                touched.record = record

    def _note_order(
        self,
        number: int,
        record: Record,
        recstatus: RecStatus,
        added: set[tuple[RecordKind, str]],
        carried_on: set[str | None],
    ) -> None:
        key = record.key
        place = (key.kind, key.id if key.kind is RecordKind.MEMBERSHIP else "")
        if isinstance(record, PersonRecord):
            carried_on.add(record.old_id)
        if recstatus is not RecStatus.GONE:
            added.add(place)
        elif place in added and not (key.kind is RecordKind.PERSON and key.id in carried_on):
            self._disorder[number][f"a removed (3) {kind_of(key)} record after one that is added"] += 1

    def _note_untouched(self, key: RecordKey) -> None:
        """Remember a person or group that no delta touches; count a membership that lacks one after the deltas."""
        if key.kind is not RecordKind.MEMBERSHIP:
            if key in self._referred:
                self._existed_before.add(key)
        elif key.member in self._removed[RecordKind.PERSON] or key.id in self._removed[RecordKind.GROUP]:
            self._count_missing(key, existed_before=True)

    def _applied(self, key: RecordKey, before: Record | None) -> Iterator[Keyed]:
        """Yield the record that the deltas leave under one key, if any, and count their contradictions."""
        touched, exists = self._touched[key], before is not None
        if exists and key.kind is not RecordKind.MEMBERSHIP:
            self._existed_before.add(key)
        for number, step in touched.steps:
            if step is RecStatus.GONE and not exists:
                self._contradictions[number][f"a removed (3) {kind_of(key)} record that did not exist"] += 1
            elif step is RecStatus.NEW and exists:
                self._contradictions[number][f"a new (1) {kind_of(key)} record that already existed"] += 1
            elif step is RecStatus.CHANGED and not exists:
                self._contradictions[number][f"a changed (2) {kind_of(key)} record that did not exist"] += 1
            exists = step is not RecStatus.GONE
        if key.kind is RecordKind.MEMBERSHIP:
            self._count_missing(key, existed_before=before is not None)
        if exists and touched.record is not None:
            yield key, touched.record

    def _count_missing(self, key: RecordKey, *, existed_before: bool) -> None:
        """Count a membership that lacks its person or group, after each delta that touches one of the two records."""
        steps = self._steps(key)
        for reference in _references(key):
            others = self._steps(reference)
            for number in sorted({number for number, _ in steps + others}):
                lacks = not _exists(others, number, existed_before=reference in self._existed_before)
                if lacks and _exists(steps, number, existed_before=existed_before):
                    self._missing[number][MISSING[reference.kind]] += 1

    def _steps(self, key: RecordKey) -> list[_Step]:
        touched = self._touched.get(key)
        return [] if touched is None else touched.steps


def _references(membership: RecordKey) -> tuple[RecordKey, RecordKey]:
    return RecordKey(RecordKind.PERSON, membership.member), RecordKey(RecordKind.GROUP, membership.id)


def _exists(steps: list[_Step], number: int, *, existed_before: bool) -> bool:
    """Return whether a record exists after the delta with this number."""
    until = [step for at, step in steps if at <= number]
    return until[-1] is not RecStatus.GONE if until else existed_before
