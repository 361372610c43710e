"""A simple verification of a feed with all records in memory, as an oracle for ims.feed."""

from collections import Counter

from ims.errors import FeedError
from ims.records.model import MemberRecord, RecordKey
from ims.records.vocabulary import RecordKind, RecStatus
from ims.xml.reader import ReadRecord, read
from tests.support.memory.feed import MemoryFeed, State


def apply(state: State, delta: bytes) -> Counter[str]:
    """Apply a delta to an importer's records by the contract; count its errors."""
    wrong: Counter[str] = Counter()
    touched: set[RecordKey] = set()
    for record, recstatus in records_of(delta):
        key = record.key
        kind = key.kind.name.lower()
        touched.add(key)
        if recstatus is RecStatus.GONE:
            wrong[f"a removed (3) {kind} record that did not exist"] += key not in state
            state.pop(key, None)
            continue
        wrong[f"a new (1) {kind} record that already existed"] += recstatus is RecStatus.NEW and key in state
        wrong[f"a changed (2) {kind} record that did not exist"] += recstatus is RecStatus.CHANGED and (
            key not in state
        )
        state[key] = record
    return wrong + lacking(state, touched)


def lacking(state: State, touched: set[RecordKey] | None = None) -> Counter[str]:
    """Count the memberships without a person or a group; only touched ones, or ones with a touched person or group."""
    wrong: Counter[str] = Counter()
    for key, record in state.items():
        if isinstance(record, MemberRecord):
            person, group = RecordKey(RecordKind.PERSON, key.member), RecordKey(RecordKind.GROUP, key.id)
            wrong["a membership whose person is missing"] += person not in state and (
                touched is None or not touched.isdisjoint({key, person})
            )
            wrong["a membership whose group is missing"] += group not in state and (
                touched is None or not touched.isdisjoint({key, group})
            )
    return wrong


def problems_of(feed: MemoryFeed) -> list[str]:
    """Return the contradictions between a feed's snapshots and deltas, all of which can be read."""
    problems: list[str] = []
    state: State | None = None
    applied = 0
    for snapshot in feed.snapshots:
        published = records_of(feed.files[snapshot.path])
        kept = {record.key: record for record, _ in published}
        if state is not None:
            for entry in feed.entries[applied : snapshot.seq]:
                problems += _tallied(entry.path, apply(state, feed.files[entry.path]))
        wrong = lacking(kept)
        wrong["a duplicate record"] = len(published) - len(kept)
        if state is not None:
            wrong += differences(state, kept)
        problems += _tallied(snapshot.path, wrong)
        state, applied = kept, snapshot.seq
    if state is not None:
        for entry in feed.entries[applied:]:
            problems += _tallied(entry.path, apply(state, feed.files[entry.path]))
    return problems


def differences(expected: State, published: State) -> Counter[str]:
    """Count the records that are not the expected ones."""
    wrong: Counter[str] = Counter()
    for key in expected.keys() | published.keys():
        kind = key.kind.name.lower()
        if key not in published:
            wrong[f"a {kind} record that the earlier snapshot and deltas give is missing"] += 1
        elif key not in expected:
            wrong[f"a {kind} record that the earlier snapshot and deltas do not give"] += 1
        elif expected[key] != published[key]:
            wrong[f"a {kind} record differs from what the earlier snapshot and deltas give"] += 1
    return wrong


def records_of(xml: bytes) -> list[ReadRecord]:
    """Return the records of a file.

    Raises:
        FeedError: it cannot be read.
    """
    return [item for item in read(xml) if isinstance(item, ReadRecord)]


def records_or_none(xml: bytes) -> list[ReadRecord] | None:
    """Return the records of a file, or ``None`` if it cannot be read."""
    try:
        return records_of(xml)
    except FeedError:
        return None


def _tallied(path: str, wrong: Counter[str]) -> list[str]:
    return [f"{path}: {count} x {what}" for what, count in sorted(wrong.items()) if count]
