"""The check of the feed's permissions: compact writes no personal data where others could read or change it.

Files are at most 0640 and directories at most 0750: the group may read, only compact's own user may write, and others
have no access. Nothing in a feed is a symbolic link: a link planted there would make compact write, or importers read,
somewhere else.
"""

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ims.errors import InvalidSettingsError

_TOO_WIDE: Final = stat.S_IWGRP | stat.S_IRWXO


def check_permissions(root: Path) -> None:
    """Check the feed directory and everything in it. One that does not exist is in order: compact's umask makes it so.

    Args:
        root: ``FEED_DIRECTORY``; it may itself be a symbolic link, because the operator has named it and no data has.

    Raises:
        InvalidSettingsError: the group may write, others have access, or there is a symbolic link. The text names the
            first such path, its mode and the command that fixes it.
    """
    if not root.exists():
        return
    for path, mode in _modes(root):
        if stat.S_ISLNK(mode):
            raise InvalidSettingsError(
                f"{path} is a symbolic link, which a feed must not have; find out who made it and remove it"
            )
        if mode & _TOO_WIDE:
            raise InvalidSettingsError(
                f"{path} has mode {stat.S_IMODE(mode):04o}, but a feed is personal data: its group may only read, and"
                f" others have no access; run `chmod -R g-w,o= {shlex.quote(str(root))}`"
            )


def _modes(root: Path) -> Iterator[tuple[Path, int]]:
    yield root, root.stat().st_mode
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            try:
                yield path, path.lstat().st_mode
            except FileNotFoundError:
                continue  # another compact has replaced or removed it since the folder was listed
