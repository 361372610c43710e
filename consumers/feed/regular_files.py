"""Reading of files in a feed's folder, where another program may have put a link, a pipe, or an endless file."""

import errno
import io
import os
import stat
from pathlib import Path

from ims.errors import FeedError


def read_regular(path: Path, limit: int) -> bytes:
    """Return the content of a file that another program may have put there.

    Raises:
        FileNotFoundError: it does not exist.
        FeedError: it is no regular file, or has more than *limit* bytes.
    """
    with opened(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise FeedError(f"{path.name} has more than {limit} bytes")
    return content


def opened(path: Path) -> io.BufferedReader:
    """Open a regular file. A link is not followed, and a pipe without a writer does not block.

    Raises:
        FeedError: it is something else.
    """
    try:
        file = open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: PTH123, SIM115 - a descriptor; the caller closes it
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EISDIR, errno.ENXIO}:
            raise FeedError(f"{path.name} is no regular file") from None
        raise
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise FeedError(f"{path.name} is no regular file")
    return file
