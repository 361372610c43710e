"""The one doorway to the feed's files: what appears appears whole, stays as it is, and survives a power cut.

Deltas and snapshots are written under a temporary name, synced, and linked to their final one; a link, unlike a rename,
never takes the place of a file that is there. Only the manifest and the file at the fixed path are ever replaced.
Temporary names begin with a dot and are no part of the contract. Files are 0640, directories 0750.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Final

import msgspec

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
"""How old an unrecorded file must be to be swept: one being written now is not recorded yet."""
_BLOCK_CHARACTERS: Final = 1 << 18


class Written(msgspec.Struct, frozen=True):
    """A file's digest and its size in bytes."""

    sha256: str
    size: int


class FeedDirectory:
    """The folder of one target: ``feed/<orgnr>/<target>/``.

    Args:
        create: make the folder where it is not there. Not for one that files were published in: if that is missing, its
            volume was lost or is not mounted, and another folder must not take its place.

    Raises:
        FeedError: organisation number or name would lead out of the feed directory, or a folder is a symbolic link.
    """

    def __init__(self, root: Path, orgnr: str, name: str, *, create: bool = True) -> None:
        if not (orgnr.isascii() and orgnr.isalnum()):
            raise FeedError("the organisation number must be letters and digits, because a folder is named after it")
        self.path = root / orgnr / _plain(name)
        for folder in (root / orgnr, self.path, *(self.path / folder for folder in _FOLDERS)):
            if folder.is_symlink():
                raise FeedError(f"{folder} is a symbolic link; nothing is written through it; see who made it")
            if create:
                folder.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)

    def link(self, name: str, content: bytes) -> None:
        """Put an immutable file into the feed; nothing happens if it is there with the same content.

        Raises:
            FeedError: another file has the name.
        """
        with self._temporary(name) as file:
            file.write(content)
            self._link(file, name, hashlib.sha256(content).hexdigest())

    def link_streamed(self, name: str, parts: Iterable[str]) -> Written:
        """The same for a file that comes in parts.

        Raises:
            FeedError: another file has the name.
        """
        with self._temporary(name) as file:
            written = _write(file, parts)
            self._link(file, name, written.sha256)
        return written

    def replace(self, name: str, parts: Iterable[str], now: float) -> Written:
        """Replace the file called *name*; its mtime becomes *now*, but moves by a second at least.

        Moodle reads a file again only if its mtime, in whole seconds, is later than the last one's.
        """
        with self.prepared(name, parts) as put_in_place:
            return put_in_place(now)

    @contextlib.contextmanager
    def prepared(self, name: str, parts: Iterable[str]) -> Iterator[Callable[[float], Written]]:
        """Write a file beside the one called *name*; it takes its place when what is yielded is called with the time.

        As :meth:`replace`; without the call nothing is replaced.
        """
        target = self._target(name)
        with self._temporary(name) as file:
            written = _write(file, parts)

            def put_in_place(now: float) -> Written:
                file.flush()  # what is written later would move the mtime again
                mtime = max(now, target.stat().st_mtime + 1) if target.exists() else now
                os.utime(file.name, (mtime, mtime))
                self._rename(file, target)
                return written

            yield put_in_place

    def manifest(self) -> Manifest | None:
        """The manifest that is there, or ``None``.

        Raises:
            FeedError: it cannot be read.
        """
        try:
            return decode((self.path / MANIFEST).read_bytes())
        except FileNotFoundError:
            return None

    def highest_seq(self) -> int:
        """The highest number that a file of the folder has, or its manifest if that can be read; 0 without any."""
        deltas = [int(path.stem) for path in (self.path / DELTAS).glob("*.xml") if path.stem.isdecimal()]
        names = filter(None, (parse_snapshot_name(path.name) for path in (self.path / SNAPSHOTS).glob("*.xml")))
        with contextlib.suppress(FeedError):
            if (manifest := self.manifest()) is not None:
                deltas.append(manifest.head_seq)
        return max([0, *deltas, *(name.seq for name in names)])

    def write_manifest(self, content: bytes, still_ours: Callable[[], None] = lambda: None) -> None:
        """Replace the manifest.

        Args:
            still_ours: called when only the replacing is left; raises if somebody else may write by now.
        """
        with self._temporary(MANIFEST) as file:
            file.write(content)
            _sync(file)
            still_ours()
            self._rename(file, self.path / MANIFEST)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files that are past their time; those that are gone already are passed over."""
        for name in names:
            self._target(name).unlink(missing_ok=True)

    def sweep(self, known: set[str], now: float) -> int:
        """Remove deltas and snapshots that are not among *known*, and temporary files left behind.

        Args:
            known: their paths in the folder.
            now: the time in seconds since 1970; files younger than an hour are left alone.

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
        """The path of a file of this folder, or of one of :data:`_FOLDERS` in it."""
        folder, _, file = name.rpartition("/")
        if folder not in {"", *_FOLDERS}:
            raise FeedError(f"a feed has no folder {folder!r}; nothing is written there")
        return self.path / folder / _plain(file)

    @contextlib.contextmanager
    def _temporary(self, name: str) -> Iterator[IO[bytes]]:
        target = self._target(name)
        with tempfile.NamedTemporaryFile(
            prefix=f".{target.name}.", suffix=".part", dir=target.parent, delete=False
        ) as file:
            try:
                os.fchmod(file.fileno(), _FILE_MODE)
                yield file
            finally:
                Path(file.name).unlink(missing_ok=True)

    def _link(self, temporary: IO[bytes], name: str, sha256: str) -> None:
        target = self._target(name)
        _sync(temporary)
        try:
            os.link(temporary.name, target)
        except FileExistsError:
            if target.is_symlink() or _digest(target) != sha256:
                raise FeedError(f"{target} is there with another content; it is not touched") from None
        _sync_directory(target.parent)

    def _rename(self, temporary: IO[bytes], target: Path) -> None:
        _sync(temporary)
        Path(temporary.name).rename(target)
        _sync_directory(target.parent)


def _plain(name: str) -> str:
    """A name that is one step of a path and no more."""
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise FeedError("a name of a file or folder in the feed must be one step of a path")
    return name


def _digest(path: Path) -> str:
    with path.open("rb") as existing:
        return hashlib.file_digest(existing, "sha256").hexdigest()


def verify_folder(folder: Path, progress: Progress = lambda _done, _all: None) -> Verification:
    """Verify the feed in a target's folder (:func:`ims.feed.verification.verify`)."""
    return verify(
        lambda name: _inside(folder, name).open("rb"),
        lambda name: sorted(path.name for path in (folder / name).glob("*")),
        progress,
    )


def verify_step_in(
    folder: Path, earlier: SnapshotEntry | None, later: SnapshotEntry, deltas: Sequence[DeltaEntry]
) -> StepVerification:
    """Verify one step of the feed in a target's folder against what the state database has recorded of its files."""
    return verify_step(
        lambda name: _inside(folder, name).open("rb"), earlier, later, deltas, recorded_in="the state database"
    )


def _inside(folder: Path, name: str) -> Path:
    """A file that a manifest names, which may be anybody's: what lies elsewhere is not there."""
    path = folder / name
    if "\0" in name or not path.resolve().is_relative_to(folder.resolve()):
        raise FileNotFoundError(name)
    return path


def _write(file: IO[bytes], parts: Iterable[str]) -> Written:
    digest, size = hashlib.sha256(), 0
    for block in _blocks(parts):
        digest.update(block)
        size += file.write(block)
    return Written(digest.hexdigest(), size)


def _blocks(parts: Iterable[str]) -> Iterator[bytes]:
    """The parts in larger pieces: a snapshot is millions of short lines."""
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
