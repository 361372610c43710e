"""Opens files for personal data, with permissions for their owner and group only."""

import os
import stat
from typing import Final

_MODE: Final = 0o640


def private(path: str, flags: int) -> int:
    """Open a file that only its owner and group may read; an ``opener`` for :func:`open`.

    A file that exists already gets the same permissions, before anything is written. A device keeps its own.
    """
    handle = os.open(path, flags, _MODE)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        os.fchmod(handle, _MODE)
    return handle
