"""Checks of the feed directory: files can be written safely, there is room, and every manifest is fresh."""

import os
import stat
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from deploy.doctor.finding import Area, Findings
from ims.errors import FeedError
from ims.feed.manifest import MANIFEST, decode
from ims.runtime.settings import Settings

_AREA: Final = Area("feed")
_DIRECTORY_MODE: Final = 0o750
_FILE_MODE: Final = 0o640
_LEAST_BYTES: Final = 1024**3
_LEAST_SHARE: Final = 0.05
_SHOWN: Final = 5


def check_feed(settings: Settings) -> Findings:
    """Check the feed directory and every manifest in it."""
    root = settings.feed_directory
    if not root.is_dir():
        fix = "create it, or set FEED_DIRECTORY; compact creates it at the first publication"
        yield _AREA.warning("directory", f"{root} does not exist", fix)
        return
    yield _AREA.ok("directory", f"{root}, on {_file_system(root)}")
    yield from _links(root)
    yield from _permissions(root)
    yield from _free_space(root)
    yield from _manifests(root)


def _links(root: Path) -> Findings:
    """Try what compact does with every file, in a folder that is removed again: write it, then link it."""
    fix = "give compact's user write access to the directory, on a file system with hard links"
    try:
        with tempfile.TemporaryDirectory(prefix=".doctor.", dir=root) as folder:
            whole, linked = Path(folder) / "whole", Path(folder) / "linked"
            whole.write_bytes(b"x")
            yield _AREA.ok("writable", "yes")
            os.link(whole, linked)
            yield _AREA.ok("hard links", "supported")
    except OSError as error:
        check = "writable" if isinstance(error, PermissionError) else "hard links"
        yield _AREA.error(check, f"{type(error).__name__}: {error.strerror}", fix)


def _permissions(root: Path) -> Findings:
    wide = []
    for folder, _, files in os.walk(root):
        for path in (Path(folder), *(Path(folder) / name for name in files)):
            mode = stat.S_IMODE(path.lstat().st_mode)
            if mode & ~(_DIRECTORY_MODE if path.is_dir() else _FILE_MODE) & 0o777:
                wide.append(f"{path.relative_to(root)} {mode:04o}")
    more = f" and {len(wide) - _SHOWN} more" if len(wide) > _SHOWN else ""
    text = f"{', '.join(wide[:_SHOWN])}{more}" if wide else "files 0640, directories 0750, or narrower"
    fix = f"run `chmod -R u=rwX,g=rX,o= {root}`: the files are personal data"
    yield _AREA.judge("permissions", not wide, text, fix)


def _free_space(root: Path) -> Findings:
    disk = os.statvfs(root)
    free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    enough = free >= min(_LEAST_BYTES, size * _LEAST_SHARE)
    yield _AREA.judge("free space", enough, f"{free / 1024**3:.1f} GiB", "free some space: a full disk stops deltas")
    if disk.f_files:
        enough = disk.f_favail >= disk.f_files * _LEAST_SHARE
        yield _AREA.judge("free inodes", enough, f"{disk.f_favail} of {disk.f_files}", "remove files of other programs")


def _manifests(root: Path) -> Findings:
    now = datetime.now(UTC)
    for path in sorted(root.glob(f"*/*/{MANIFEST}")):
        name = f"manifest {path.parent.relative_to(root)}"
        try:
            manifest = decode(path.read_bytes())
        except (FeedError, OSError) as error:
            text = str(error) if isinstance(error, FeedError) else type(error).__name__
            yield _AREA.error(name, text, "run `imsfeed verify`, and read compact's log")
            continue
        age = (now - manifest.checked).total_seconds()
        fix = "start compact; if it is running, read its log"
        yield _AREA.judge(name, now < manifest.expires, f"{manifest.state}, written {age:.0f} s ago", fix)


def _file_system(root: Path) -> str:
    """Return the type of the directory's file system, from Linux' list of mounts."""
    try:
        mounts = [line.split()[:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return "a file system of unknown type"
    resolved = str(root.resolve())
    under = [m for m in mounts if resolved == m[1] or resolved.startswith(m[1].rstrip("/") + "/")]
    return f"{max(under, key=lambda m: len(m[1]))[2]}" if under else "a file system of unknown type"
