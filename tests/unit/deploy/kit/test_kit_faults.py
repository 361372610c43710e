"""A reader that follows the contract to the letter, and the faults that the kit's page names."""

import hashlib
from pathlib import Path
from typing import Final

import msgspec
import pytest

from ims.feed.manifest import DeltaEntry, Manifest, SnapshotEntry, Totals, decode, parse_snapshot_name
from ims.records.model import Record, RecordKey
from ims.records.vocabulary import RecStatus
from ims.xml.reader import ReadRecord, read
from tests.support.paths import DOCS

FEED: Final = DOCS / "importers" / "kit" / "feed" / "310000000" / "lms"
UP_TO_DATE, MORE, BROKEN = 0, 1, 5


class Feed:
    """The kit's feed in memory, where files may be damaged."""

    def __init__(self) -> None:
        self.files = {path.relative_to(FEED).as_posix(): path.read_bytes() for path in FEED.rglob("*.xml")}
        self.manifest = decode((FEED / "manifest.json").read_bytes())

    def snapshot(self, seq: int) -> SnapshotEntry:
        """Return one of the kept snapshots, as a manifest of its time had it."""
        names = {parse_snapshot_name(Path(path).name): path for path in self.files if path.startswith("snapshots/")}
        name, path = next((name, path) for name, path in names.items() if name is not None and name.seq == seq)
        xml = self.files[path]
        digest = hashlib.sha256(xml).hexdigest()
        return SnapshotEntry(
            seq=seq, path=path, sha256=digest, size=len(xml), counts=Totals(), local_date=name.local_date
        )

    def at(self, head: int, snapshot: int = 0) -> Manifest:
        """Return a manifest of an earlier time, whose snapshot is an earlier one."""
        deltas = [entry for entry in self.manifest.deltas if entry.seq <= head]
        return msgspec.structs.replace(self.manifest, head_seq=head, deltas=deltas, snapshot=self.snapshot(snapshot))


class Reader:
    """An importer by the contract's order of work."""

    def __init__(self) -> None:
        self.epoch: str | None = None
        self.position = -1
        self.digest: str | None = None
        self.state: dict[RecordKey, Record] = {}

    def round(self, feed: Feed, manifest: Manifest) -> int:
        """Read the feed once; return the exit code."""
        if manifest.epoch != self.epoch:
            return self._take(feed, manifest)
        if self.position > manifest.head_seq:
            return BROKEN
        if manifest.oldest_delta_seq is None or self.position < manifest.oldest_delta_seq - 1:
            return self._take(feed, manifest) if self.position < manifest.head_seq else UP_TO_DATE
        for entry in manifest.deltas:
            if entry.seq > self.position and not self._apply(feed, entry):
                # Only a snapshot that leads on may be taken, never one that leads back.
                return self._take(feed, manifest) if manifest.snapshot.seq > self.position else BROKEN
        return UP_TO_DATE

    def _take(self, feed: Feed, manifest: Manifest) -> int:
        xml = feed.files.get(manifest.snapshot.path, b"")
        if hashlib.sha256(xml).hexdigest() != manifest.snapshot.sha256:
            return BROKEN
        self.state = {one.record.key: one.record for one in read(xml) if isinstance(one, ReadRecord)}
        self.epoch, self.position = manifest.epoch, manifest.snapshot.seq
        entries = {entry.seq: entry.sha256 for entry in manifest.deltas}
        at_start = manifest.snapshot.sha256 if self.position == manifest.epoch_seq else None
        self.digest = entries.get(self.position, at_start)
        return MORE

    def _apply(self, feed: Feed, entry: DeltaEntry) -> bool:
        xml = feed.files.get(entry.path, b"")
        if hashlib.sha256(xml).hexdigest() != entry.sha256 or self.digest not in {None, entry.prev_sha256}:
            return False
        for one in read(xml):
            if isinstance(one, ReadRecord) and one.recstatus is RecStatus.GONE:
                self.state.pop(one.record.key, None)
            elif isinstance(one, ReadRecord):
                self.state[one.record.key] = one.record
        self.position, self.digest = entry.seq, entry.sha256
        return True


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture
def reader(feed: Feed) -> Reader:
    """Return a reader that has followed the deltas up to 10."""
    reader = Reader()
    assert reader.round(feed, feed.at(10)) == MORE
    assert reader.round(feed, feed.at(10)) == UP_TO_DATE
    assert reader.position == 10
    return reader


def whole(feed: Feed) -> dict[RecordKey, Record]:
    newest = Reader()
    newest.round(feed, feed.manifest)
    return newest.state


@pytest.mark.parametrize("fault", ["another byte", "missing", "another chain"])
def test_a_damaged_delta_leads_to_no_older_snapshot(feed: Feed, reader: Reader, fault: str) -> None:
    manifest, kept = feed.at(16), feed.files["deltas/12.xml"]
    if fault == "missing":
        del feed.files["deltas/12.xml"]
    elif fault == "another byte":
        feed.files["deltas/12.xml"] = kept.replace(b"2026", b"2027", 1)
    else:
        manifest.deltas[11] = msgspec.structs.replace(manifest.deltas[11], prev_sha256="0" * 64)
    for _ in range(3):
        assert reader.round(feed, manifest) == BROKEN
        assert reader.position == 11
    feed.files["deltas/12.xml"] = kept
    assert reader.round(feed, feed.at(16)) == UP_TO_DATE


def test_the_next_snapshot_leads_past_a_damaged_delta(feed: Feed, reader: Reader) -> None:
    del feed.files["deltas/12.xml"]
    assert reader.round(feed, feed.at(20, snapshot=17)) == MORE
    assert (reader.position, reader.digest) == (17, feed.manifest.deltas[16].sha256)
    assert reader.round(feed, feed.manifest) == UP_TO_DATE
    assert reader.state == whole(feed)


def test_an_older_manifest_is_not_followed(feed: Feed, reader: Reader) -> None:
    before = dict(reader.state)
    assert reader.round(feed, feed.at(5)) == BROKEN
    assert (reader.position, reader.state) == (10, before)


def test_another_epoch_begins_with_its_snapshot(feed: Feed, reader: Reader) -> None:
    assert reader.round(feed, msgspec.structs.replace(feed.manifest, epoch="another")) == MORE
    assert reader.state == whole(feed)


def test_deltas_from_the_first_snapshot_give_the_last_one(feed: Feed, reader: Reader) -> None:
    assert reader.round(feed, feed.manifest) == UP_TO_DATE
    assert reader.state == whole(feed)


def test_the_page_names_every_fault() -> None:
    page = (DOCS / "importers" / "kit" / "README.md").read_text(encoding="utf-8")
    assert page.count("deltas/12.xml") == 2
    assert "as-importer moodle" in page
