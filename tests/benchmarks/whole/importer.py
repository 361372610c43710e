"""An importer that polls the manifest, and records when it first saw each change."""

import itertools
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec

from ims.feed.manifest import MANIFEST, delta_path
from ims.records.model import RecordKey
from ims.xml.reader import ReadRecord, read

_EVERY: Final = 0.001


class Sighting(NamedTuple):
    """A new manifest: when it was first seen, and the last delta that it names."""

    at: float
    head_seq: int


class _Head(msgspec.Struct):
    head_seq: int


_DECODER: Final = msgspec.json.Decoder(_Head)


class Importer:
    """Polls the manifests of some targets' folders every millisecond while the block runs.

    It only records the manifests; the deltas are read afterwards, so that it takes little of the machine's time.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = folders
        self._seen: dict[Path, list[Sighting]] = {folder: [] for folder in folders}
        self._inodes: dict[Path, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="importer", daemon=True)

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def head(self, folder: Path) -> int:
        """Return the number of the last delta seen so far."""
        seen = self._seen[folder]
        return seen[-1].head_seq if seen else 0

    def changes(self, folder: Path) -> Iterator[tuple[float, RecordKey]]:
        """Yield the records of all deltas seen, in order, each with the time at which it was first seen."""
        seen = self._seen[folder]
        for before, sighting in itertools.pairwise(seen):
            for seq in range(before.head_seq + 1, sighting.head_seq + 1):
                for item in read(folder / delta_path(seq)):
                    if isinstance(item, ReadRecord):
                        yield sighting.at, item.record.key

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY):
            self._look()

    def _look(self) -> None:
        for folder in self.folders:
            inode = os.stat(folder / MANIFEST).st_ino  # noqa: PTH116 - a thousand times a second
            if inode != self._inodes.get(folder):
                self._inodes[folder] = inode
                head = _DECODER.decode((folder / MANIFEST).read_bytes())
                self._seen[folder].append(Sighting(time.monotonic(), head.head_seq))
