"""The log of a feed: its first snapshot and every delta since, and what is wrong with them.

The workload keeps three rules, so that the log alone can be judged:

* a person is enrolled in a group at most once, and leaves it at most once;
* a person's family name ends in a number, which grows with every change of it;
* a person's id, once changed, never comes back.
"""

from collections import Counter
from hashlib import sha256
from pathlib import Path

from consumers.feed.feed_directory import verify_folder
from ims.feed.manifest import Manifest, decode
from ims.records.model import PersonRecord, Record, RecordKey
from ims.records.vocabulary import RecordKind, RecStatus
from ims.xml.reader import ReadRecord, read

Delta = list[ReadRecord]


class FeedLog:
    """The feed in *folder*, for an importer that reads every file from the first on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def manifest(self) -> Manifest | None:
        """Return the manifest, if there is one yet."""
        try:
            return decode((self.folder / "manifest.json").read_bytes())
        except FileNotFoundError:
            return None

    def first(self) -> dict[RecordKey, Record]:
        """Return the records of the first snapshot."""
        path = min((self.folder / "snapshots").glob("*-0.xml"))
        return {item.record.key: item.record for item in read(path) if isinstance(item, ReadRecord)}

    def deltas(self) -> list[Delta]:
        """Return the records of every delta that the manifest names, in its order."""
        manifest = self.manifest()
        paths = [entry.path for entry in manifest.deltas] if manifest is not None else []
        return [[item for item in read(self.folder / path) if isinstance(item, ReadRecord)] for path in paths]

    def published(self) -> dict[RecordKey, Record]:
        """Return what an importer has after the first snapshot and every delta."""
        known = self.first()
        for delta in self.deltas():
            for item in delta:
                known.pop(item.record.key, None)
                if item.recstatus is not RecStatus.GONE:
                    known[item.record.key] = item.record
        return known

    def memberships(self) -> set[RecordKey]:
        """Return the memberships that such an importer has; none before the first publication."""
        return (
            set() if self.manifest() is None else {key for key in self.published() if key.kind is RecordKind.MEMBERSHIP}
        )

    def entries(self, key: RecordKey) -> list[tuple[int, RecStatus]]:
        """Return place (counted from 1) and recstatus of every entry of *key* in the deltas."""
        return [
            (seq, item.recstatus)
            for seq, delta in enumerate(self.deltas(), 1)
            for item in delta
            if item.record.key == key and item.recstatus is not None
        ]

    def digests(self) -> dict[str, str]:
        """Return the digest of every file that must never change, by its path."""
        files = (path for folder in ("deltas", "snapshots") for path in (self.folder / folder).glob("[!.]*"))
        return {path.relative_to(self.folder).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}

    def problems(self) -> list[str]:
        """Return what is wrong with the feed; nothing if every entry is there, once and in order."""
        found = verify_folder(self.folder).problems
        if found:
            return found
        return [*self._gaps(), *_wrong_entries(self.first(), self.deltas())]

    def _gaps(self) -> list[str]:
        manifest = self.manifest()
        numbers = [entry.seq for entry in manifest.deltas] if manifest is not None else []
        return [] if numbers == list(range(1, len(numbers) + 1)) else [f"the deltas are numbered {numbers}"]


def version_of(record: Record | None) -> int:
    """Return the number at the end of a person's family name; 0 if there is none."""
    digits = record.family_name.rpartition(" ")[2] if isinstance(record, PersonRecord) else ""
    return int(digits) if digits.isdigit() else 0


def _comes_once(key: RecordKey) -> bool:
    """Return True for a membership in a course group; one in a school's group may come back."""
    return key.kind is RecordKind.MEMBERSHIP and key.id.startswith("group-")


def _wrong_entries(first: dict[RecordKey, Record], deltas: list[Delta]) -> list[str]:
    """Return the entries of the log that break the rules above.

    A new record that is there already, or a removed one that is not, is found by :mod:`ims.feed.verification`.
    """
    wrong: list[str] = []
    known = dict(first)
    versions = {key: version_of(record) for key, record in first.items()}
    came = Counter(key for key in first if _comes_once(key))
    for seq, delta in enumerate(deltas, 1):
        twice = [key for key, count in Counter(item.record.key for item in delta).items() if count > 1]
        wrong += [f"delta {seq}: two entries for one {key.kind.name.lower()}" for key in twice]
        for item in delta:
            record, key = item.record, item.record.key
            if item.recstatus is RecStatus.CHANGED and known.get(key) == record:
                wrong.append(f"delta {seq}: a {key.kind.name.lower()} is changed and stays the same")
            if version_of(record) < versions.get(key, 0):
                wrong.append(f"delta {seq}: a name goes back from {versions[key]} to {version_of(record)}")
            if item.recstatus is RecStatus.NEW and _comes_once(key):
                came[key] += 1
            versions[key] = max(versions.get(key, 0), version_of(record))
            known[key] = record
    return wrong + [f"{count} entries say that a member is new in {key.id}" for key, count in came.items() if count > 1]
