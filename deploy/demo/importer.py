"""A small importer: it looks at the manifest, takes what is new, and tells when somebody's record has come."""

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

_LOOK_EVERY_SECONDS: Final = 0.004
_PATIENCE_SECONDS: Final = 60.0
T = TypeVar("T")


class Arrival(msgspec.Struct, frozen=True):
    """The delta that told of a person, and in which words."""

    path: Path
    milliseconds: int
    words: str


class Importer:
    """Reads one target's folder as an LMS would.

    Args:
        folder: the target's folder; it need not be there yet.
        check: called while waiting; raises when there is nothing to wait for.
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

    def published(self, person: str, since: int, committed_at: float) -> Arrival:
        """Wait for a delta after number *since* that tells of *person*.

        Args:
            person: the person's ``sourcedid/id``.
            committed_at: when the change was committed, by the monotonic clock, in seconds.

        Raises:
            LocalStackError: it does not come within a minute.
        """

        def look() -> Arrival | None:
            manifest = self._manifest()
            seen_at = time.monotonic()
            for delta in manifest.deltas if manifest is not None else ():
                if delta.seq > since and (words := self._words(delta.path, person)):
                    return Arrival(self.folder / delta.path, round((seen_at - committed_at) * 1000), words)
            return None

        return self._wait(look, "a delta that tells of the change")

    def _manifest(self) -> Manifest | None:
        try:
            return decode((self.folder / MANIFEST).read_bytes())
        except FileNotFoundError:
            return None

    def _words(self, path: str, person: str) -> str:
        words = []
        for item in read(self.folder / path):
            if isinstance(item, ReadRecord) and item.recstatus is not None:
                record = item.record
                if isinstance(record, PersonRecord) and record.id == person:
                    words.append(f"person {_said(item.recstatus)}")
                elif isinstance(record, MemberRecord) and record.person == person:
                    words.append(f"{_said(item.recstatus)} in {record.group}")
        return ", ".join(words)

    def _wait(self, look: Callable[[], T | None], what: str) -> T:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while (found := look()) is None:
            self._check()
            if time.monotonic() > deadline:
                raise LocalStackError(f"{what} did not come within {_PATIENCE_SECONDS:.0f} s; see the logs")
            time.sleep(_LOOK_EVERY_SECONDS)
        return found


def _said(recstatus: RecStatus) -> str:
    return recstatus.name.lower()
