"""A feed in memory: its files as compact writes them, and records for its tests."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from typing import Any, BinaryIO

import msgspec

from ims.feed.delta import Delta, between, delta_document
from ims.feed.delta_files import split
from ims.feed.manifest import (
    MANIFEST,
    DeltaEntry,
    Manifest,
    SnapshotEntry,
    Totals,
    decode,
    delta_path,
    encode,
    snapshot_path,
)
from ims.feed.step import StepVerification
from ims.feed.verification import Verification, verify, verify_step
from ims.records.model import GroupRecord, MemberRecord, PersonRecord, Record, RecordKey
from ims.records.vocabulary import InstitutionRole, RecordKind, RecStatus, RoleType
from ims.targets.importer_profiles import PROFILES, Importer
from ims.xml.dialect import Dialect
from ims.xml.writer import Properties, document_parts, fragment, snapshot_parts

State = dict[RecordKey, Record]

SOURCE = "imsfeed@100000008"
AT = datetime(2026, 8, 17, 0, 0, 0, tzinfo=UTC)
ANNA = PersonRecord(SOURCE, "01810012345", "anna@fjord.no", "Anna", "Bø", None, (InstitutionRole.STUDENT,))
BO = PersonRecord(SOURCE, "1002", "bo@fjord.no", "Bo", "Li", None, (InstitutionRole.STUDENT,))
B1 = GroupRecord(SOURCE, "group-7", "class", "B1", "Norsk B1", "Fjord", "Fjord læring", None, None)
ANNA_LEARNS = MemberRecord(SOURCE, B1.id, ANNA.id, RoleType.LEARNER)
BO_LEARNS = MemberRecord(SOURCE, B1.id, BO.id, RoleType.LEARNER)

FIRST, SECOND = "snapshots/2026-08-17-0.xml", "snapshots/2026-08-18-2.xml"
"""The snapshots of :func:`a_feed`."""


class MemoryFeed:
    """A target's folder.

    Attributes:
        files: by path in the folder.
        published: what has been published, as :func:`ims.xml.writer.fragment`.
        entries: the deltas, as the manifest lists them.
        snapshots: the snapshots, as they were recorded.
    """

    def __init__(self, dialect: Dialect = "ims", importer: Importer = "none") -> None:
        self.dialect = dialect
        self.profile = PROFILES[importer]
        self.files: dict[str, bytes] = {}
        self.published: dict[RecordKey, str] = {}
        self.entries: list[DeltaEntry] = []
        self.snapshots: list[SnapshotEntry] = []

    @property
    def seq(self) -> int:
        """Return the number of the last delta."""
        return len(self.entries)

    def publish_delta(self, current: Mapping[RecordKey, Record]) -> bytes | None:
        """Publish what has changed; return the delta's bytes, or ``None`` if nothing has changed."""
        delta = between(self.published, current, self.dialect, profile=self.profile)
        if not delta:
            return None
        *_, xml = map(self._publish, split(delta, {}))
        self.published |= delta.upserts
        for key in delta.removals:
            del self.published[key]
        self._write_manifest()
        return xml

    def _publish(self, delta: Delta) -> bytes:
        xml = delta_document(Properties(SOURCE, "lms", "delta", AT, self.dialect), delta, self.profile)
        self.entries.append(
            DeltaEntry(
                seq=self.seq + 1,
                path=delta_path(self.seq + 1),
                sha256=sha256(xml).hexdigest(),
                prev_sha256=self.entries[-1].sha256 if self.entries else self.snapshots[-1].sha256,
                size=len(xml),
                created=AT,
                oldest_event_at=None,
                counts=delta.counts(),
                closed_groups=delta.closed_groups,
            )
        )
        self.files[self.entries[-1].path] = xml
        return xml

    def take_snapshot(self) -> bytes:
        """Write everything that has been published; return the snapshot's bytes."""
        at = AT + timedelta(days=len(self.snapshots))
        xml = snapshot_of(self.published, at, self.dialect)
        counted = Counter(key.kind for key in self.published)
        self.snapshots.append(
            SnapshotEntry(
                seq=self.seq,
                path=snapshot_path(date(2026, 8, 17) + timedelta(days=len(self.snapshots)), self.seq),
                sha256=sha256(xml).hexdigest(),
                size=len(xml),
                counts=Totals(*(counted[kind] for kind in RecordKind)),
                local_date=at.date(),
            )
        )
        self.files[self.snapshots[-1].path] = xml
        self._write_manifest()
        return xml

    def verify(self) -> Verification:
        """Verify the whole feed."""
        return verify(self.open, self.names)

    def verify_last_step(self) -> StepVerification:
        """Verify the step to the last snapshot, against what was recorded."""
        return self.verify_step_to(len(self.snapshots) - 1)

    def verify_step_to(self, number: int) -> StepVerification:
        """Verify the step to one of the snapshots."""
        earlier, later = self.snapshots[number - 1] if number else None, self.snapshots[number]
        after = later.seq if earlier is None else earlier.seq
        return verify_step(self.open, earlier, later, self.entries[after:], "the record")

    def change_manifest(self, **changes: Any) -> None:
        """Replace values of the manifest."""
        self.files[MANIFEST] = encode(msgspec.structs.replace(decode(self.files[MANIFEST]), **changes))

    def replace_delta(self, seq: int, xml: bytes) -> None:
        """Replace a delta's bytes, and make the manifest and the digest chain agree with them."""
        self.files[delta_path(seq)] = xml
        digest = sha256(xml).hexdigest()
        self.entries[seq - 1] = msgspec.structs.replace(self.entries[seq - 1], sha256=digest, size=len(xml))
        if seq < self.seq:
            self.entries[seq] = msgspec.structs.replace(self.entries[seq], prev_sha256=digest)
        self.change_manifest(deltas=self.entries)

    def replace_snapshot(self, number: int, xml: bytes) -> None:
        """Replace a snapshot's bytes, and make the manifest and the record agree with them."""
        before = self.snapshots[number]
        entry = msgspec.structs.replace(before, sha256=sha256(xml).hexdigest(), size=len(xml))
        self.files[entry.path] = xml
        self.snapshots[number] = entry
        if self.entries and before.seq == 0 and self.entries[0].prev_sha256 == before.sha256:
            self.entries[0] = msgspec.structs.replace(self.entries[0], prev_sha256=entry.sha256)
        self.change_manifest(snapshot=self.snapshots[-1], deltas=self.entries)

    def open(self, path: str) -> BinaryIO:
        """Open a file, as :data:`ims.feed.files.OpenFile`."""
        if path not in self.files:
            raise FileNotFoundError(path)
        return BytesIO(self.files[path])

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a subfolder."""
        return [path.removeprefix(f"{folder}/") for path in self.files if path.startswith(f"{folder}/")]

    def _write_manifest(self) -> None:
        self.files[MANIFEST] = encode(
            Manifest(
                target="lms",
                epoch="e7c1",
                head_seq=self.seq,
                oldest_delta_seq=1 if self.entries else None,
                generated=AT,
                checked=AT,
                expires=AT,
                state="ok",
                snapshot=self.snapshots[-1],
                deltas=self.entries,
                next_snapshot=AT,
            )
        )


def state_of(*records: Record) -> State:
    """Return the records by key."""
    return {record.key: record for record in records}


def snapshot_of(published: Mapping[RecordKey, str], at: datetime = AT, dialect: Dialect = "ims") -> bytes:
    """Return a snapshot of these texts."""
    properties = Properties(SOURCE, "lms", "full", at, dialect)
    return "".join(snapshot_parts(properties, SOURCE, sorted(published.items()))).encode()


def delta_of(changes: Iterable[tuple[RecStatus, Record]]) -> bytes:
    """Return a delta with exactly these changes."""
    rows = [(record.key, fragment(record, recstatus)) for recstatus, record in changes]
    return "".join(document_parts(Properties(SOURCE, "lms", "delta", AT), SOURCE, rows)).encode()


def a_feed() -> MemoryFeed:
    """Return a feed of two snapshots, with two deltas between them and one after."""
    feed = MemoryFeed()
    feed.published = {record.key: fragment(record) for record in (ANNA, B1)}
    feed.take_snapshot()
    feed.publish_delta(state_of(ANNA, B1, ANNA_LEARNS))
    feed.publish_delta(state_of(ANNA, B1, ANNA_LEARNS, BO, BO_LEARNS))
    feed.take_snapshot()
    feed.publish_delta(state_of(BO, B1, BO_LEARNS))
    return feed
