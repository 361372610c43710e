"""What one of imsfeed's processes sets up for itself, for what is measured of it inside the benchmark's process."""

import contextlib
import gc
import sys
from collections.abc import Iterator

from deploy.commands.processes import set_up_interpreter


@contextlib.contextmanager
def interpreter_of(process: str) -> Iterator[None]:
    """The turns of threads and the garbage collection of *process*, until the block is left."""
    turn, thresholds = sys.getswitchinterval(), gc.get_threshold()
    set_up_interpreter(process)
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(turn)
