"""An importer that reads every feed all the time, and checks that the files keep their promises."""

import threading
from hashlib import sha256
from pathlib import Path

from ims.errors import FeedError
from ims.feed.manifest import decode
from tests.chaos.checkers.feed_log import FeedLog

_PAUSE_SECONDS = 0.1


class Importer:
    """Reads every manifest of a feed directory, and what it names, until it is stopped.

    Attributes:
        problems: what it found wrong, each once.
        manifests: how many manifests it has read.
    """

    def __init__(self, feed: Path) -> None:
        self.problems: dict[str, None] = {}
        self.manifests = 0
        self._feed = feed
        self._heads: dict[Path, int] = {}
        self._digests: dict[Path, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Read everything a last time, and check that no file has ever changed."""
        self._stop.set()
        self._thread.join()
        self._look()
        for folder in self._heads:
            for name, digest in FeedLog(folder).digests().items():
                self._same(folder / name, digest)

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE_SECONDS):
            self._look()

    def _look(self) -> None:
        for path in self._feed.glob("*/*/manifest.json"):
            try:
                self._read(path)
            except (FeedError, OSError) as error:
                self.problems[f"{path.parent}: {error}"] = None

    def _read(self, path: Path) -> None:
        manifest = decode(path.read_bytes())
        self.manifests += 1
        if manifest.head_seq < self._heads.get(path.parent, 0):
            self.problems[f"{path}: its head went back from {self._heads[path.parent]} to {manifest.head_seq}"] = None
        self._heads[path.parent] = max(manifest.head_seq, self._heads.get(path.parent, 0))
        named = [(manifest.snapshot.path, manifest.snapshot.sha256), *((d.path, d.sha256) for d in manifest.deltas)]
        for name, digest in named:
            file = path.parent / name
            if file not in self._digests:
                self._digests[file] = sha256(file.read_bytes()).hexdigest()
            self._same(file, digest)

    def _same(self, file: Path, digest: str) -> None:
        if self._digests.get(file, digest) != digest:
            self.problems[f"{file}: is not what it was, or not what its manifest says"] = None
