"""The proof that a feed holds together, from its files alone, as an importer sees them.

The manifest names files that are there, whole and unchanged; the deltas are numbered without a gap and chained; every
file is valid; and **snapshot + deltas == next snapshot**, record by record, for every pair of snapshots kept. A problem
names the file and the rule, and counts records; it never says whose they are.

Files that the manifest does not announce yet are passed over: they are being published. So are files of an older epoch.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from itertools import pairwise
from typing import BinaryIO, Final, Literal, NamedTuple

from ims.errors import FeedError
from ims.feed.manifest import (
    MANIFEST,
    SNAPSHOTS,
    Counts,
    DeltaEntry,
    KindCounts,
    Manifest,
    SnapshotEntry,
    SnapshotName,
    Totals,
    decode,
    delta_path,
    parse_snapshot_name,
)
from ims.records.model import MemberRecord, Record, RecordKey
from ims.records.vocabulary import RecordKind, RecStatus
from ims.xml.reader import ReadRecord, read
from ims.xml.schema import problems as schema_problems

State = dict[RecordKey, Record]

_SHOWN: Final = 5
"""So many of a file's problems with the schema are told one by one."""


class Verification(NamedTuple):
    """What was looked at, and what is wrong; the feed holds together if ``problems`` is empty.

    Attributes:
        snapshots: how many snapshots were read.
        deltas: how many deltas were applied.
        records: how many records there are after the last delta.
    """

    snapshots: int
    deltas: int
    records: int
    problems: list[str]


def verify(read_file: Callable[[str], bytes], names: Callable[[str], list[str]]) -> Verification:
    """Prove the feed of one target.

    Args:
        read_file: a file's bytes by its path in the target's folder; raises ``FileNotFoundError``.
        names: the names of the files in a subfolder.
    """
    try:
        manifest = decode(read_file(MANIFEST))
    except FileNotFoundError:
        return Verification(0, 0, 0, [f"{MANIFEST}: is not there"])
    except FeedError as error:
        return Verification(0, 0, 0, [str(error)])
    proving = _Proving(read_file, manifest)
    snapshots = _announced(names(SNAPSHOTS), manifest)
    proving.check_manifest()
    proving.check_chain([snapshot for snapshot in snapshots if snapshot.seq == manifest.epoch_seq])
    proving.check_files()
    return proving.replay(snapshots)


def apply(state: State, delta: bytes) -> list[str]:
    """Apply a delta to what an importer has, by the contract, and say what should not have been in it.

    recstatus 1 and 2 put the record in the place of any with its key, 3 takes it away. The state is changed in place.

    Raises:
        FeedError: the file cannot be read (:func:`ims.xml.reader.read`); the state may hold a part of it.
    """
    wrong: Counter[str] = Counter()
    touched: list[RecordKey] = []
    orphaning = False
    for record, recstatus in records_of(delta, "delta"):
        key = record.key
        touched.append(key)
        if recstatus is RecStatus.GONE:
            orphaning |= key.kind is not RecordKind.MEMBERSHIP
            if state.pop(key, None) is None:
                wrong[f"a {kind_of(key)} record is gone (3) that was not there"] += 1
            continue
        if recstatus is RecStatus.NEW and key in state:
            wrong[f"a {kind_of(key)} record is new (1) that was there already"] += 1
        elif recstatus is RecStatus.CHANGED and key not in state:
            wrong[f"a {kind_of(key)} record is changed (2) that was not there"] += 1
        state[key] = record
    return tallied(wrong + _dangling(state, state if orphaning else touched))


class _Proving:
    """One proof under way: the feed, and the problems so far."""

    def __init__(self, read_file: Callable[[str], bytes], manifest: Manifest) -> None:
        self._read_file = read_file
        self._manifest = manifest
        self._problems: list[str] = []
        self._applied = 0

    def check_manifest(self) -> None:
        """See that what the manifest says goes together."""
        manifest, entries = self._manifest, self._manifest.deltas
        oldest, head = (entries[0].seq, entries[-1].seq) if entries else (None, manifest.snapshot.seq)
        if manifest.oldest_delta_seq != oldest:
            self._problem(MANIFEST, f"oldest_delta_seq is not {oldest}, as its deltas say")
        if manifest.head_seq != head or head < manifest.snapshot.seq:
            self._problem(MANIFEST, f"head_seq {manifest.head_seq} is not that of its last delta or snapshot")
        if manifest.epoch_seq > min([manifest.snapshot.seq, *(entry.seq - 1 for entry in entries[:1])]):
            self._problem(MANIFEST, f"it names a file from before epoch_seq {manifest.epoch_seq}, of an older epoch")
        if manifest.snapshot.path != SnapshotName(manifest.snapshot.seq, manifest.snapshot.local_date).path:
            self._problem(MANIFEST, "the snapshot's path is not that of its seq and local_date")

    def check_chain(self, first_snapshots: list[SnapshotName]) -> None:
        """See that the deltas are chained, from one of the snapshots that began the epoch if they are kept."""
        entries, first = self._manifest.deltas, self._manifest.epoch_seq
        for entry in entries:
            if entry.path != delta_path(entry.seq):
                self._problem(MANIFEST, f"the path of delta {entry.seq} is not that of its seq")
        for before, after in pairwise(entries):
            if after.seq != before.seq + 1:
                self._problem(MANIFEST, f"delta {after.seq} follows delta {before.seq}: a gap or a wrong order")
            elif after.prev_sha256 != before.sha256:
                self._problem(after.path, "prev_sha256 is not the digest of the delta before")
        if entries and entries[0].seq == first + 1 and first_snapshots:
            digests = {sha256(self._bytes(snapshot.path) or b"").hexdigest() for snapshot in first_snapshots}
            if entries[0].prev_sha256 not in digests:
                self._problem(entries[0].path, f"prev_sha256 is not the digest of a snapshot with seq {first}")

    def check_files(self) -> None:
        """See that the files which the manifest names are what it says, and every delta is valid."""
        self._check_file(self._manifest.snapshot)
        for entry in self._manifest.deltas:
            data = self._check_file(entry)
            if data is not None:
                self._check_schema(entry.path, data)

    def replay(self, snapshots: list[SnapshotName]) -> Verification:
        """See that each snapshot and the deltas after it give the next, and that the last deltas can be applied."""
        state: State | None = None
        seq = 0
        for snapshot in snapshots:
            state = self._advance(state, range(seq + 1, snapshot.seq + 1))
            published = self._published(snapshot)
            if state is not None and published is not None:
                self._add(snapshot.path, _differences(state, published))
            state, seq = published if published is not None else state, snapshot.seq
        state = self._advance(state, range(seq + 1, self._manifest.head_seq + 1))
        return Verification(len(snapshots), self._applied, len(state or {}), self._problems)

    def _advance(self, state: State | None, seqs: Iterable[int]) -> State | None:
        """The state after the deltas, or ``None`` when it cannot be known."""
        entries = {entry.seq: entry for entry in self._manifest.deltas}
        for seq in seqs if state is not None else ():
            if seq not in entries:
                self._problem(delta_path(seq), f"is needed after a snapshot that is kept, but not in {MANIFEST}")
                return None
            data = self._bytes(entries[seq].path)
            if data is None or state is None:
                return None
            try:
                self._add(entries[seq].path, apply(state, data))
                self._add(entries[seq].path, _miscounted(entries[seq], data))
            except FeedError as error:
                self._problem(entries[seq].path, str(error))
                return None
            self._applied += 1
        return state

    def _published(self, snapshot: SnapshotName) -> State | None:
        """The records of a snapshot, or ``None`` if it cannot be read."""
        data = self._bytes(snapshot.path)
        if data is None:
            # Removed since the names were read; that the manifest's own is missing is said already.
            return None
        self._check_schema(snapshot.path, data)
        try:
            records = [record for record, _ in records_of(data, "full")]
        except FeedError as error:
            self._problem(snapshot.path, str(error))
            return None
        state = {record.key: record for record in records}
        if len(state) != len(records):
            self._problem(snapshot.path, f"{len(records) - len(state)} x a record stands twice")
        self._add(snapshot.path, tallied(_dangling(state, state)))
        entry = self._manifest.snapshot
        if entry.path == snapshot.path and entry.counts != _totals(state):
            self._problem(MANIFEST, "the snapshot's counts are not those of the file")
        return state

    def _check_file(self, entry: SnapshotEntry | DeltaEntry) -> bytes | None:
        data = self._bytes(entry.path)
        if data is None:
            self._problem(entry.path, f"is not there, but named in {MANIFEST}")
        elif len(data) != entry.size:
            self._problem(entry.path, f"has {len(data)} bytes, not {entry.size} as {MANIFEST} says")
        elif sha256(data).hexdigest() != entry.sha256:
            self._problem(entry.path, f"its digest is not that in {MANIFEST}")
        return data

    def _check_schema(self, path: str, data: bytes) -> None:
        found = schema_problems(data)
        self._add(path, found[:_SHOWN])
        if len(found) > _SHOWN:
            self._problem(path, f"and {len(found) - _SHOWN} more places against the schema")

    def _bytes(self, path: str) -> bytes | None:
        try:
            return self._read_file(path)
        except FileNotFoundError:
            return None

    def _add(self, path: str, problems: Iterable[str]) -> None:
        for problem in problems:
            self._problem(path, problem)

    def _problem(self, path: str, what: str) -> None:
        self._problems.append(f"{path}: {what}")


def _announced(names: Iterable[str], manifest: Manifest) -> list[SnapshotName]:
    """The epoch's snapshots to look at, oldest first: those kept, up to the one that the manifest names."""
    last = SnapshotName(manifest.snapshot.seq, manifest.snapshot.local_date)
    found = filter(None, map(parse_snapshot_name, names))
    return sorted(name for name in found if name.seq >= manifest.epoch_seq and name <= last)


def records_of(data: bytes | BinaryIO, kind: Literal["full", "delta"]) -> Iterator[ReadRecord]:
    """The records of a file.

    Raises:
        FeedError: the file cannot be read (:func:`ims.xml.reader.read`), or is not of this type.
    """
    for item in read(data):
        if isinstance(item, ReadRecord):
            yield item
        elif item.type != kind:
            raise FeedError(f"its type is {item.type}, not {kind}")


def kind_of(key: RecordKey) -> str:
    """What a problem's text calls such a record."""
    return key.kind.name.lower()


def _totals(keys: Iterable[RecordKey]) -> Totals:
    counted = Counter(key.kind for key in keys)
    return Totals(*(counted[kind] for kind in RecordKind))


def _miscounted(entry: DeltaEntry, data: bytes) -> list[str]:
    counted = Counter((record.key.kind, recstatus) for record, recstatus in records_of(data, "delta"))
    counts = Counts(*(KindCounts(*(counted[kind, status] for status in RecStatus)) for kind in RecordKind))
    return [] if counts == entry.counts else [f"its counts in {MANIFEST} are not those of the file"]


def _dangling(state: State, keys: Iterable[RecordKey]) -> Counter[str]:
    """Memberships among *keys* whose person or group is not there."""
    wrong: Counter[str] = Counter()
    for key in keys:
        record = state.get(key)
        if isinstance(record, MemberRecord):
            wrong["a membership of a person who is not there"] += RecordKey(RecordKind.PERSON, key.member) not in state
            wrong["a membership of a group that is not there"] += RecordKey(RecordKind.GROUP, key.id) not in state
    return wrong


def _differences(expected: State, published: State) -> list[str]:
    wrong: Counter[str] = Counter()
    for key in expected.keys() | published.keys():
        if key not in published:
            wrong[f"a {kind_of(key)} record is missing that the snapshot and deltas before give"] += 1
        elif key not in expected:
            wrong[f"a {kind_of(key)} record is there that the snapshot and deltas before do not give"] += 1
        elif expected[key] != published[key]:
            wrong[f"a {kind_of(key)} record is not as the snapshot and deltas before give it"] += 1
    return tallied(wrong)


def tallied(wrong: Counter[str]) -> list[str]:
    """Each problem once, with how often it is there."""
    return [f"{count} x {what}" for what, count in sorted(wrong.items()) if count]
