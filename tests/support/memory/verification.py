"""A verification of a feed that keeps all of its records in memory: the simplest one, as an oracle for ims.feed."""

from collections import Counter

from ims.errors import FeedError
from ims.records.model import MemberRecord, RecordKey
from ims.records.vocabulary import RecordKind, RecStatus
from ims.xml.reader import ReadRecord, read
from tests.support.memory.feed import MemoryFeed, State


def apply(state: State, delta: bytes) -> Counter[str]:
    """Apply a delta to what an importer has, by the contract; return what should not have been in it."""
    wrong: Counter[str] = Counter()
    touched: set[RecordKey] = set()
    for record, recstatus in records_of(delta):
        key = record.key
        kind = key.kind.name.lower()
        touched.add(key)
        if recstatus is RecStatus.GONE:
            wrong[f"a {kind} record is removed (3) but was not there"] += key not in state
            state.pop(key, None)
            continue
        wrong[f"a {kind} record is new (1) but was there already"] += recstatus is RecStatus.NEW and key in state
        wrong[f"a {kind} record is changed (2) but was not there"] += recstatus is RecStatus.CHANGED and (
            key not in state
        )
        state[key] = record
    return wrong + lacking(state, touched)


def lacking(state: State, touched: set[RecordKey] | None = None) -> Counter[str]:
    """Return how many memberships lack what, of those that are touched or whose person or group is."""
    wrong: Counter[str] = Counter()
    for key, record in state.items():
        if isinstance(record, MemberRecord):
            person, group = RecordKey(RecordKind.PERSON, key.member), RecordKey(RecordKind.GROUP, key.id)
            wrong["a membership of a person who is not there"] += person not in state and (
                touched is None or not touched.isdisjoint({key, person})
            )
            wrong["a membership of a group that is not there"] += group not in state and (
                touched is None or not touched.isdisjoint({key, group})
            )
    return wrong


def problems_of(feed: MemoryFeed) -> list[str]:
    """Return where the records of a feed's snapshots and deltas do not go together; its files can be read."""
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
        wrong["a record occurs twice"] = len(published) - len(kept)
        if state is not None:
            wrong += differences(state, kept)
        problems += _tallied(snapshot.path, wrong)
        state, applied = kept, snapshot.seq
    if state is not None:
        for entry in feed.entries[applied:]:
            problems += _tallied(entry.path, apply(state, feed.files[entry.path]))
    return problems


def differences(expected: State, published: State) -> Counter[str]:
    """Return how many records are not the expected ones."""
    wrong: Counter[str] = Counter()
    for key in expected.keys() | published.keys():
        kind = key.kind.name.lower()
        if key not in published:
            wrong[f"a {kind} record is missing that the earlier snapshot and its deltas give"] += 1
        elif key not in expected:
            wrong[f"a {kind} record is there that the earlier snapshot and its deltas do not give"] += 1
        elif expected[key] != published[key]:
            wrong[f"a {kind} record is not as the earlier snapshot and its deltas give it"] += 1
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
