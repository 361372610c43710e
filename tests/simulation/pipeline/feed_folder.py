"""A target's folder in memory, which checks that only the manifest ever changes, and only forwards."""

import hashlib
from collections.abc import Iterable

from ims.errors import FeedError
from ims.feed.manifest import MANIFEST, Manifest, encode
from tests.simulation.violations import ViolationError


class FeedFolder:
    """A double of :class:`consumers.feed.feed_directory.FeedDirectory`.

    Attributes:
        files: the files by path.
        written: how often each was written.
        manifest: the manifest that was written last.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.written: dict[str, int] = {}
        self.manifest: Manifest | None = None
        self._digests: dict[str, str] = {}

    def link(self, name: str, content: bytes) -> None:
        """Add a file, or do nothing if it exists with the same content.

        Raises:
            FeedError: another file has the name.
        """
        if name not in self.files:
            self.put(name, content)
        elif self.files[name] != content:
            raise FeedError(f"{name} exists with other content; it is not touched")

    def link_parts(self, name: str, parts: Iterable[str]) -> tuple[str, int]:
        """Add a file that comes in parts, and return its digest and size."""
        content = "".join(parts).encode()
        self.link(name, content)
        return hashlib.sha256(content).hexdigest(), len(content)

    def put(self, name: str, content: bytes) -> None:
        """Write a file, even if one exists."""
        self.written[name] = self.written.get(name, 0) + 1
        self.files[name] = content
        self._digests[name] = hashlib.sha256(content).hexdigest()
        if self.written[name] > 1:
            raise ViolationError(f"{name} has been written again after an importer may have read it")

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest, and check that an importer that reads it now finds all files that it names."""
        named = {manifest.snapshot.path: manifest.snapshot.sha256, **{d.path: d.sha256 for d in manifest.deltas}}
        for path, sha256 in named.items():
            if self._digests.get(path) != sha256:
                raise ViolationError(f"the manifest names {path}, which is missing or has another digest")
        numbers = [entry.seq for entry in manifest.deltas]
        if numbers != list(range(1, len(numbers) + 1)) or manifest.head_seq != len(numbers):
            raise ViolationError(f"the manifest's deltas are {numbers}, its head is {manifest.head_seq}")
        if self.manifest is not None and manifest.head_seq < self.manifest.head_seq:
            raise ViolationError(f"the manifest goes back from {self.manifest.head_seq} to {manifest.head_seq}")
        self.manifest = manifest

    def names(self, folder: str) -> list[str]:
        """Return the files in a subfolder, as :func:`ims.feed.verification.reconcile` wants them."""
        return sorted(path.rpartition("/")[2] for path in self.files if path.startswith(f"{folder}/"))

    def read(self, name: str) -> bytes:
        """Return a file.

        Raises:
            FileNotFoundError: it is not there.
        """
        if name == MANIFEST and self.manifest is not None:
            return encode(self.manifest)
        if name not in self.files:
            raise FileNotFoundError(name)
        return self.files[name]
