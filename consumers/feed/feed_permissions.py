"""Who may look into the feed: compact does not write personal data where others could read or change it.

Files are at most 0640, directories at most 0750: the group reads, whoever writes is us, and nobody else gets in.
Nothing in a feed is a symbolic link: whoever puts one there would have us write, or importers read, somewhere else.
"""

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ims.errors import InvalidSettingsError

_TOO_WIDE: Final = stat.S_IWGRP | stat.S_IRWXO


def refuse_wide_feed(root: Path) -> None:
    """Check the feed directory and all in it; one that does not exist yet is made narrow enough.

    Args:
        root: ``FEED_DIRECTORY``; it may itself be a symbolic link, since an operator and no data has named it.

    Raises:
        InvalidSettingsError: the group may write, others may do anything, or there is a symbolic link; names the first
            path, its mode and the command that mends it.
    """
    if not root.exists():
        return
    for path, mode in _modes(root):
        if stat.S_ISLNK(mode):
            raise InvalidSettingsError(f"{path} is a symbolic link, and a feed has none; see who made it and remove it")
        if mode & _TOO_WIDE:
            raise InvalidSettingsError(
                f"{path} has mode {stat.S_IMODE(mode):04o}, and a feed is personal data: its group may only read, and"
                f" others nothing; run `chmod -R g-w,o= {shlex.quote(str(root))}`"
            )


def _modes(root: Path) -> Iterator[tuple[Path, int]]:
    yield root, root.stat().st_mode
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            try:
                yield path, path.lstat().st_mode
            except FileNotFoundError:
                continue  # another compact has just put it in place or removed it
