from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from io import BufferedReader, BytesIO
from typing import Any

import msgspec
import pytest

from ims.feed.delta import between, delta_document
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
from ims.feed.step_verification import StepVerification, prove_step
from ims.feed.verification import State, Verification, apply, verify
from ims.records.model import GroupRecord, MemberRecord, PersonRecord, Record, RecordKey
from ims.records.vocabulary import InstitutionRole, RecordKind, RecStatus, RoleType
from ims.xml.dialect import Dialect
from ims.xml.writer import Properties, document_parts, fragment, snapshot_parts

SOURCE = "imsfeed@100000008"
AT = datetime(2026, 8, 17, 0, 0, 0, tzinfo=UTC)
ANNA = PersonRecord(SOURCE, "01810012345", "anna@fjord.no", "Anna", "Bø", None, (InstitutionRole.STUDENT,))
BO = PersonRecord(SOURCE, "1002", "bo@fjord.no", "Bo", "Li", None, (InstitutionRole.STUDENT,))
B1 = GroupRecord(SOURCE, "group-7", "class", "B1", "Norsk B1", "Fjord", "Fjord læring", None, None)
ANNA_LEARNS = MemberRecord(SOURCE, B1.id, ANNA.id, RoleType.LEARNER)
BO_LEARNS = MemberRecord(SOURCE, B1.id, BO.id, RoleType.LEARNER)


class Folder:
    """A target's folder in memory, filled as the compactor fills it."""

    def __init__(self, dialect: Dialect = "ims") -> None:
        self.dialect = dialect
        self.files: dict[str, bytes] = {}
        self.published: dict[RecordKey, str] = {}
        self.entries: list[DeltaEntry] = []
        self.latest: SnapshotEntry | None = None
        self.snapshots: list[SnapshotEntry] = []
        self.days = 0

    @property
    def seq(self) -> int:
        return len(self.entries)

    def publication(self, current: Mapping[RecordKey, Record]) -> bytes | None:
        """Tell what has changed; the delta's bytes, or ``None`` if nothing has."""
        delta = between(self.published, current, self.dialect)
        if not delta:
            return None
        xml = delta_document(Properties(SOURCE, "lms", "delta", AT, self.dialect), delta)
        self.published |= delta.upserts
        for key in delta.removals:
            del self.published[key]
        previous = self.entries[-1].sha256 if self.entries else self._latest().sha256
        self.entries.append(
            DeltaEntry(
                seq=self.seq + 1,
                path=delta_path(self.seq + 1),
                sha256=sha256(xml).hexdigest(),
                prev_sha256=previous,
                size=len(xml),
                created=AT,
                counts=delta.counts(),
            )
        )
        self._write(self.entries[-1].path, xml)
        return xml

    def snapshot(self) -> bytes:
        """Write all that is told; the snapshot's bytes."""
        self.days += 1
        day = date(2026, 8, 16) + timedelta(days=self.days)
        parts = snapshot_parts(
            Properties(SOURCE, "lms", "full", AT + timedelta(days=self.days), self.dialect),
            SOURCE,
            sorted(self.published.items()),
        )
        xml = "".join(parts).encode()
        counted = Counter(key.kind for key in self.published)
        self.latest = SnapshotEntry(
            seq=self.seq,
            path=snapshot_path(day, self.seq),
            sha256=sha256(xml).hexdigest(),
            size=len(xml),
            counts=Totals(*(counted[kind] for kind in RecordKind)),
            local_date=day,
        )
        self.snapshots.append(self.latest)
        self._write(self.latest.path, xml)
        return xml

    def verify(self) -> Verification:
        return verify(self.read, self.names)

    def prove_step(self) -> StepVerification:
        """The proof of the step to the last snapshot."""
        earlier, later = [None, *self.snapshots][-2:]
        assert later is not None
        seq = later.seq if earlier is None else earlier.seq
        deltas = [entry for entry in self.entries if entry.seq > seq]
        return prove_step(lambda path: BufferedReader(BytesIO(self.read(path))), earlier, later, deltas)

    def change_manifest(self, **changes: Any) -> None:
        self.files[MANIFEST] = encode(msgspec.structs.replace(decode(self.files[MANIFEST]), **changes))

    def replace_delta(self, seq: int, xml: bytes) -> None:
        """Put other bytes in a delta's place, and have the manifest and the chain agree to them."""
        self.files[delta_path(seq)] = xml
        digest = sha256(xml).hexdigest()
        self.entries[seq - 1] = msgspec.structs.replace(self.entries[seq - 1], sha256=digest, size=len(xml))
        if seq < self.seq:
            self.entries[seq] = msgspec.structs.replace(self.entries[seq], prev_sha256=digest)
        self.change_manifest(deltas=self.entries)

    def _write(self, path: str, xml: bytes) -> None:
        self.files[path] = xml
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
                snapshot=self._latest(),
                deltas=self.entries,
                next_snapshot=AT,
            )
        )

    def _latest(self) -> SnapshotEntry:
        assert self.latest is not None
        return self.latest

    def read(self, path: str) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path]

    def names(self, folder: str) -> list[str]:
        return [path.removeprefix(f"{folder}/") for path in self.files if path.startswith(f"{folder}/")]


def so_now(*records: Record) -> dict[RecordKey, Record]:
    return {record.key: record for record in records}


FIRST, SECOND = "snapshots/2026-08-17-0.xml", "snapshots/2026-08-18-2.xml"


def a_folder() -> Folder:
    """Two snapshots with two deltas between them and one after."""
    folder = Folder()
    folder.published = {record.key: fragment(record) for record in (ANNA, B1)}
    folder.snapshot()
    folder.publication(so_now(ANNA, B1, ANNA_LEARNS))
    folder.publication(so_now(ANNA, B1, ANNA_LEARNS, BO, BO_LEARNS))
    folder.snapshot()
    folder.publication(so_now(BO, B1, BO_LEARNS))
    return folder


@pytest.fixture
def folder() -> Folder:
    return a_folder()


def test_a_feed_that_holds_together_is_proved(folder: Folder) -> None:
    assert folder.verify() == Verification(snapshots=2, deltas=3, records=3, problems=[])


def test_the_first_snapshot_alone_is_a_feed() -> None:
    folder = Folder()
    folder.snapshot()
    assert folder.verify() == Verification(snapshots=1, deltas=0, records=0, problems=[])


def test_quiet_days_give_snapshots_with_the_same_number() -> None:
    folder = Folder()
    folder.published = {B1.key: fragment(B1)}
    folder.snapshot()
    folder.snapshot()
    folder.publication(so_now(B1, ANNA))
    folder.snapshot()
    folder.snapshot()
    assert folder.verify() == Verification(snapshots=4, deltas=1, records=2, problems=[])


def test_what_has_expired_is_not_missed(folder: Folder) -> None:
    del folder.files[FIRST], folder.files["deltas/1.xml"], folder.files["deltas/2.xml"]
    folder.change_manifest(deltas=folder.entries[2:], oldest_delta_seq=3)
    assert folder.verify() == Verification(snapshots=1, deltas=1, records=3, problems=[])


def test_what_is_being_published_is_not_looked_at(folder: Folder) -> None:
    folder.files |= {
        "snapshots/2026-08-19-3.xml": b"half",
        "snapshots/.2026-08-19-3.xml.tmp": b"half",
        "deltas/4.xml": b"half",
    }
    assert folder.verify().problems == []


def test_of_many_problems_of_a_file_the_first_are_told(folder: Folder) -> None:
    folder.files[FIRST] = folder.files[FIRST].replace(b"  <group>", fragment(BO).encode() * 9 + b"  <group>")
    folder.files[FIRST] = folder.files[FIRST].replace(b"<name>", b'<name id="1">')
    problems = [problem for problem in folder.verify().problems if "<name>" in problem or "more places" in problem]
    # Five and the rest from the schema; the reader stops at the first.
    assert problems[5] == f"{FIRST}: and 5 more places against the schema"
    assert len(problems) == 7


def test_a_snapshot_that_is_removed_meanwhile_is_passed_over(folder: Folder) -> None:
    names = [*(path.removeprefix("snapshots/") for path in folder.files), "2026-08-17-1.xml"]
    assert verify(folder.read, lambda _: names).problems == []


def delta_of(*changes: tuple[RecStatus, Record]) -> bytes:
    rows = [(record.key, fragment(record, recstatus)) for recstatus, record in changes]
    return "".join(document_parts(Properties(SOURCE, "lms", "delta", AT), SOURCE, rows)).encode()


NEW, CHANGED, GONE = RecStatus


def test_new_and_changed_put_a_record_in_and_gone_takes_it_out() -> None:
    state: State = so_now(ANNA, B1, ANNA_LEARNS)
    renamed = msgspec.structs.replace(B1, short="B2")
    assert apply(state, delta_of((NEW, BO), (GONE, ANNA), (CHANGED, renamed), (GONE, ANNA_LEARNS))) == []
    assert state == so_now(BO, renamed)


def test_a_role_that_changes_goes_and_comes_in_one_delta() -> None:
    state: State = so_now(ANNA, B1, ANNA_LEARNS)
    teaches = msgspec.structs.replace(ANNA_LEARNS, role=RoleType.INSTRUCTOR)
    assert apply(state, delta_of((GONE, ANNA_LEARNS), (NEW, teaches))) == []
    assert state[ANNA_LEARNS.key] == teaches


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ([(NEW, ANNA)], "1 x a person record is new (1) that was there already"),
        ([(CHANGED, BO)], "1 x a person record is changed (2) that was not there"),
        ([(GONE, BO)], "1 x a person record is gone (3) that was not there"),
        ([(NEW, ANNA_LEARNS), (NEW, ANNA_LEARNS)], "2 x a membership record is new (1) that was there already"),
        ([(NEW, BO_LEARNS)], "1 x a membership of a person who is not there"),
        ([(GONE, ANNA)], "1 x a membership of a person who is not there"),
        ([(GONE, B1)], "1 x a membership of a group that is not there"),
    ],
)
def test_what_should_not_be_in_a_delta_is_said(changes: list[tuple[RecStatus, Record]], problem: str) -> None:
    assert apply(so_now(ANNA, B1, ANNA_LEARNS), delta_of(*changes)) == [problem]


def test_a_delta_with_a_problem_is_still_applied() -> None:
    state: State = so_now(ANNA)
    apply(state, delta_of((NEW, msgspec.structs.replace(ANNA, given_name="Ann")), (CHANGED, BO)))
    assert sorted(state) == sorted([ANNA.key, BO.key])
    assert state[BO.key] == BO
