"""The interpreter settings of imsfeed's processes, for code of theirs that is measured in the benchmark's process."""

import contextlib
import gc
import sys
from collections.abc import Iterator

from deploy.commands.processes import set_up_interpreter


@contextlib.contextmanager
def interpreter_of(process: str) -> Iterator[None]:
    """Use the thread switch interval and the garbage collection of *process* until the block is left."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    set_up_interpreter(process)
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(interval)
