"""The only module that writes the feed's files: each appears complete, does not change, and survives a power failure.

Deltas and snapshots are written under a temporary name, synced, and linked to their final name: unlike a rename, a link
never replaces an existing file. Only the manifest and the file at the fixed path are ever replaced. Temporary names
begin with a dot and are not part of the contract. Files have mode 0640, directories 0750.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Final

import msgspec

from consumers.feed.regular_files import opened, read_regular
from ims.errors import FeedError
from ims.feed.manifest import (
    DELTAS,
    MANIFEST,
    SNAPSHOTS,
    DeltaEntry,
    Manifest,
    SnapshotEntry,
    decode,
    parse_snapshot_name,
)
from ims.feed.step import StepVerification
from ims.feed.verification import Progress, Verification, verify, verify_step

_FILE_MODE: Final = 0o640
_DIRECTORY_MODE: Final = 0o750
_FOLDERS: Final = (DELTAS, SNAPSHOTS)
_ORPHAN_SECONDS: Final = 3_600
"""The age from which an unrecorded file is swept: a file that is being written now is not recorded yet."""
_LONGEST_MANIFEST: Final = 1 << 28
"""Bytes. An entry has some 450, so this is a delta every two seconds for two weeks."""
_LONGEST_NUMBER: Final = 18
"""Digits. A longer number in a file's name is none of ours, and does not fit the state database."""
_BLOCK_CHARACTERS: Final = 1 << 18


class Written(msgspec.Struct, frozen=True):
    """A file's digest and its size in bytes."""

    sha256: str
    size: int


class FeedDirectory:
    """The folder of one target: ``feed/<orgnr>/<target>/``.

    Args:
        create: create the folder if it is missing. Not for a folder in which files have been published: if it is
            missing, its volume was lost or is not mounted, and a new folder must not hide that.

    Raises:
        FeedError: the organisation number or the name would lead out of the feed directory, or a folder is a symbolic
            link.
    """

    def __init__(self, root: Path, orgnr: str, name: str, *, create: bool = True) -> None:
        if not (orgnr.isascii() and orgnr.isalnum()):
            raise FeedError("the organisation number must be letters and digits, because a folder is named after it")
        self.path = root / orgnr / _path_step(name)
        for folder in (root / orgnr, self.path, *(self.path / folder for folder in _FOLDERS)):
            if folder.is_symlink():
                raise FeedError(f"{folder} is a symbolic link; nothing is written through it; find out who made it")
            if create:
                folder.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)

    def link(self, name: str, content: bytes) -> None:
        """Add an immutable file to the feed; do nothing if it is there with the same content.

        Raises:
            FeedError: a file with other content has the name.
        """
        with self._temporary(name) as file:
            file.write(content)
            self._link(file, name, hashlib.sha256(content).hexdigest())

    def link_streamed(self, name: str, parts: Iterable[str]) -> Written:
        """Add an immutable file that comes in parts, as :meth:`link`.

        Raises:
            FeedError: a file with other content has the name.
        """
        with self._temporary(name) as file:
            written = _write(file, parts)
            self._link(file, name, written.sha256)
        return written

    def replace(self, name: str, parts: Iterable[str], now: float) -> Written:
        """Replace the file called *name* in one step. Its mtime becomes *now*, but at least a second later than before.

        Moodle reads a file again only if its mtime, in whole seconds, is later than that of the file it has read.
        """
        with self.prepared(name, parts) as put_in_place:
            return put_in_place(now)

    @contextlib.contextmanager
    def prepared(self, name: str, parts: Iterable[str]) -> Iterator[Callable[[float], Written]]:
        """Write a file beside the one called *name*, and yield a function of the time that puts it in place.

        It replaces the file as :meth:`replace` does; if it is not called, nothing is replaced.
        """
        target = self._target(name)
        with self._temporary(name) as file:
            written = _write(file, parts)

            def put_in_place(now: float) -> Written:
                file.flush()  # a later write would change the mtime again
                mtime = max(now, target.stat().st_mtime + 1) if target.exists() else now
                os.utime(file.name, (mtime, mtime))
                self._rename(file, target)
                return written

            yield put_in_place

    def manifest(self) -> Manifest | None:
        """Return the manifest in the folder, or ``None`` if there is none.

        Raises:
            FeedError: it cannot be read.
        """
        try:
            return decode(read_regular(self.path / MANIFEST, _LONGEST_MANIFEST))
        except FileNotFoundError:
            return None

    def highest_seq(self) -> int:
        """Return the highest sequence number of the folder's files and its manifest, if readable; 0 without any."""
        deltas = [int(path.stem) for path in (self.path / DELTAS).glob("*.xml") if _is_number(path.stem)]
        names = filter(None, (parse_snapshot_name(path.name) for path in (self.path / SNAPSHOTS).glob("*.xml")))
        seqs = [name.seq for name in names if _is_number(str(name.seq))]
        with contextlib.suppress(FeedError):
            if (manifest := self.manifest()) is not None:
                deltas.append(manifest.head_seq)
        return max([0, *deltas, *seqs])

    def write_manifest(self, content: bytes, confirm_lock: Callable[[], None] = lambda: None) -> None:
        """Replace the manifest in one step.

        Args:
            confirm_lock: called immediately before the replacement; raises if another process may write by now.
        """
        with self._temporary(MANIFEST) as file:
            file.write(content)
            # The slow sync comes first, so that as little time as possible lies between the check and the rename.
            _sync(file)
            confirm_lock()
            self._rename(file, self.path / MANIFEST)

    def remove(self, names: Iterable[str]) -> None:
        """Remove expired files; those that no longer exist are skipped."""
        for name in names:
            self._target(name).unlink(missing_ok=True)

    def sweep(self, known: set[str], now: float) -> int:
        """Remove deltas and snapshots that are not among *known*, and temporary files that were left behind.

        Args:
            known: the recorded files, by their path in the folder.
            now: the time in seconds since 1970; files younger than an hour are kept.

        Returns:
            How many files were removed.
        """
        removed = 0
        for path in (*self.path.glob("*/*"), *self.path.glob(".*.part")):
            name = path.relative_to(self.path).as_posix()
            if name not in known and path.is_file() and path.stat().st_mtime < now - _ORPHAN_SECONDS:
                path.unlink(missing_ok=True)
                removed += 1
        return removed

    def _target(self, name: str) -> Path:
        """Return the path of a file in this folder or in one of its :data:`_FOLDERS`."""
        folder, _, file = name.rpartition("/")
        if folder not in {"", *_FOLDERS}:
            raise FeedError(f"a feed has no folder {folder!r}; nothing is written there")
        return self.path / folder / _path_step(file)

    @contextlib.contextmanager
    def _temporary(self, name: str) -> Iterator[IO[bytes]]:
        target = self._target(name)
        # In the same folder: a link or rename to another file system would not be atomic, or would fail.
        with tempfile.NamedTemporaryFile(
            prefix=f".{target.name}.", suffix=".part", dir=target.parent, delete=False
        ) as file:
            try:
                os.fchmod(file.fileno(), _FILE_MODE)  # tempfile makes it 0600, which the importers' group cannot read
                yield file
            finally:
                Path(file.name).unlink(missing_ok=True)  # missing after a rename; after a link the other name stays

    def _link(self, temporary: IO[bytes], name: str, sha256: str) -> None:
        target = self._target(name)
        _sync(temporary)
        try:
            os.link(temporary.name, target)
        except FileExistsError:
            if target.is_symlink() or _digest(target) != sha256:
                raise FeedError(f"{target} exists with other content; it is not touched") from None
        # Without this a power failure could lose the name, although the content is on disk and soon recorded.
        _sync_directory(target.parent)

    def _rename(self, temporary: IO[bytes], target: Path) -> None:
        _sync(temporary)
        Path(temporary.name).rename(target)
        _sync_directory(target.parent)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER


def _path_step(name: str) -> str:
    """Return *name* if it is a single step of a path.

    Raises:
        FeedError: it is empty, ``.`` or ``..``, or contains a slash or a zero character.
    """
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise FeedError("the name of a file or folder in the feed must be a single step of a path")
    return name


def _digest(path: Path) -> str:
    with opened(path) as existing:
        return hashlib.file_digest(existing, "sha256").hexdigest()


def verify_folder(folder: Path, progress: Progress = lambda _done, _all: None) -> Verification:
    """Verify the feed in a target's folder (:func:`ims.feed.verification.verify`)."""
    return verify(
        lambda name: inside(folder, name).open("rb"),
        lambda name: sorted(path.name for path in (folder / name).glob("*")),
        progress,
    )


def verify_step_in(
    folder: Path, earlier: SnapshotEntry | None, later: SnapshotEntry, deltas: Sequence[DeltaEntry]
) -> StepVerification:
    """Verify one step of the feed in a target's folder against what the state database has recorded of its files."""
    return verify_step(
        lambda name: inside(folder, name).open("rb"), earlier, later, deltas, recorded_in="the state database"
    )


def inside(folder: Path, name: str) -> Path:
    """Return the path of a file that a manifest names.

    The manifest may come from anyone, so a path that leads out of the folder, or to a pipe, counts as a missing file.
    """
    path = folder / name
    if "\0" in name or not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise FileNotFoundError(name)
    return path


def _write(file: IO[bytes], parts: Iterable[str]) -> Written:
    digest, size = hashlib.sha256(), 0
    for block in _blocks(parts):
        digest.update(block)
        size += file.write(block)
    return Written(digest.hexdigest(), size)


def _blocks(parts: Iterable[str]) -> Iterator[bytes]:
    """Yield the parts encoded, in larger blocks: a snapshot is millions of short lines."""
    waiting: list[str] = []
    characters = 0
    for part in parts:
        waiting.append(part)
        characters += len(part)
        if characters >= _BLOCK_CHARACTERS:
            yield "".join(waiting).encode()
            waiting, characters = [], 0
    yield "".join(waiting).encode()


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
