"""A small importer: polls the manifest, reads new deltas, and returns as soon as a person's record has arrived."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from deploy.local.process import LocalStackError
from ims.feed.manifest import MANIFEST, Manifest, decode
from ims.records.model import MemberRecord, PersonRecord
from ims.records.vocabulary import RecStatus
from ims.xml.reader import ReadRecord, read

_POLL_SECONDS: Final = 0.004
_LONGEST_WAIT_SECONDS: Final = 60.0
T = TypeVar("T")


class Arrival(msgspec.Struct, frozen=True):
    """The delta with a person's records.

    Attributes:
        path: the delta's file.
        milliseconds: time from the commit until the delta was seen.
        records: the person's records in it, to be shown.
    """

    path: Path
    milliseconds: int
    records: str


class Importer:
    """Reads one target's folder as an LMS would.

    Args:
        folder: the target's folder; it need not exist yet.
        check: called while waiting; raises if there is nothing left to wait for.
    """

    def __init__(self, folder: Path, check: Callable[[], None]) -> None:
        self.folder = folder
        self._check = check

    def first_manifest(self) -> Manifest:
        """Wait for the first publication.

        Raises:
            LocalStackError: it does not come within a minute.
        """
        return self._wait(self._manifest, "the first snapshot")

    def await_delta(self, person: str, since: int, committed_at: float) -> Arrival:
        """Wait for a delta with a record of *person*.

        Args:
            person: the person's ``sourcedid/id``.
            since: the sequence number after which deltas count.
            committed_at: when the change was committed, by the monotonic clock, in seconds.

        Raises:
            LocalStackError: it does not come within a minute.
        """

        def find() -> Arrival | None:
            manifest = self._manifest()
            seen_at = time.monotonic()
            for delta in manifest.deltas if manifest is not None else ():
                if delta.seq > since and (records := self._records(delta.path, person)):
                    return Arrival(self.folder / delta.path, round((seen_at - committed_at) * 1000), records)
            return None

        return self._wait(find, "a delta with the change")

    def _manifest(self) -> Manifest | None:
        try:
            return decode((self.folder / MANIFEST).read_bytes())
        except FileNotFoundError:
            return None

    def _records(self, path: str, person: str) -> str:
        records = []
        for item in read(self.folder / path):
            if isinstance(item, ReadRecord) and item.recstatus is not None:
                record = item.record
                if isinstance(record, PersonRecord) and record.id == person:
                    records.append(f"person {_word(item.recstatus)}")
                elif isinstance(record, MemberRecord) and record.person == person:
                    records.append(f"{_word(item.recstatus)} in {record.group}")
        return ", ".join(records)

    def _wait(self, find: Callable[[], T | None], what: str) -> T:
        deadline = time.monotonic() + _LONGEST_WAIT_SECONDS
        while (found := find()) is None:
            self._check()
            if time.monotonic() > deadline:
                raise LocalStackError(f"{what} did not come within {_LONGEST_WAIT_SECONDS:.0f} s; read the logs")
            time.sleep(_POLL_SECONDS)
        return found


def _word(recstatus: RecStatus) -> str:
    return recstatus.name.lower()
