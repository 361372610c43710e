"""Files with personal data that a command writes where it is told to: for their owner and group only."""

import os
import stat
from typing import Final

_MODE: Final = 0o640


def private(path: str, flags: int) -> int:
    """An ``opener`` for :func:`open`: a file that is there already is made narrow too, before anything is in it."""
    handle = os.open(path, flags, _MODE)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        os.fchmod(handle, _MODE)
    return handle
