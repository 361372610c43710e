"""The check of the feed's permissions: compact writes no personal data where others could read or change it.

Files are at most 0640 and directories at most 0750: the group may read, only compact's own user may write, and others
have no access. Nothing in a feed is a symbolic link: a link planted there would make compact write, or importers read,
somewhere else.

Compact does not start if the feed directory itself is wrong. What is wrong in one target's folder halts that target
alone: a program that can write there must not be able to stop the others.
"""

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ims.errors import FeedError, InvalidSettingsError

_TOO_WIDE: Final = stat.S_IWGRP | stat.S_IRWXO
_FOLDER_DEPTH: Final = 2
"""Steps from the feed directory to a target's folder: the organisation number, and the target's name."""


def check_permissions(root: Path) -> None:
    """Check the feed directory and everything in it. One that does not exist is in order: compact's umask makes it so.

    Args:
        root: ``FEED_DIRECTORY``; it may itself be a symbolic link, because the operator has named it and no data has.

    Raises:
        InvalidSettingsError: the group may write, others have access, or there is a symbolic link. The text names the
            first such path, its mode and the command that fixes it.
    """
    check_root(root)
    for _, fault in _faults_below(root, root):
        raise InvalidSettingsError(fault)


def check_root(root: Path) -> None:
    """Check the feed directory itself, as :func:`check_permissions`.

    Raises:
        InvalidSettingsError: the group may write, or others have access.
    """
    try:
        mode = root.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise InvalidSettingsError(f"FEED_DIRECTORY {root} cannot be used: {error.strerror}") from None
    if (fault := _fault(root, mode, root)) is not None:
        raise InvalidSettingsError(fault)


def check_folder(root: Path, folder: Path) -> None:
    """Check a target's folder, the owner's folder that it is in, and everything in it, as :func:`check_permissions`.

    Raises:
        FeedError: the group may write, others have access, or there is a symbolic link.
        OSError: the folder cannot be read.
    """
    for path in (folder.parent, folder):
        try:
            fault = _fault(path, path.lstat().st_mode, root)
        except FileNotFoundError:
            return
        if fault is not None:
            raise FeedError(fault)
    for _, fault in _faults_below(folder, root):
        raise FeedError(fault)


def stray_faults(root: Path) -> Iterator[str]:
    """Yield what is wrong with what lies in the feed directory and in no target's folder."""
    for path, fault in _faults_below(root, root, _FOLDER_DEPTH):
        if len(path.relative_to(root).parts) < _FOLDER_DEPTH or not os.path.isdir(path):  # noqa: PTH112 - it raises nothing
            yield fault


def _faults_below(folder: Path, root: Path, depth: int | None = None) -> Iterator[tuple[Path, str]]:
    """Yield the paths below *folder* that are wrong, and why; no more than *depth* steps below."""
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            try:
                fault = _fault(path, path.lstat().st_mode, root)
            except FileNotFoundError:
                continue  # another compact has replaced or removed it since the folder was listed
            except OSError as error:
                fault = f"{path} cannot be read: {error.strerror}"
            if fault is not None:
                yield path, fault
        if depth is not None and len(Path(place).relative_to(folder).parts) + 1 >= depth:
            folders.clear()


def _fault(path: Path, mode: int, root: Path) -> str | None:
    """Return what is wrong with a path of this mode, or ``None``."""
    if stat.S_ISLNK(mode):
        return f"{path} is a symbolic link, which a feed must not have; find out who made it and remove it"
    if mode & _TOO_WIDE:
        return (
            f"{path} has mode {stat.S_IMODE(mode):04o}, but a feed is personal data: its group may only read, and"
            f" others have no access; run `chmod -R g-w,o= {shlex.quote(str(root))}`"
        )
    return None
